"""Parts start in order, tell when they die, and never outlive whoever started them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.parts.part import Part, running
from local.parts.ports import Port
from local.parts.probes import says
from thirdring.errors import PartError

PATIENCE = 30

WAIT = "print('up', flush=True); import time; time.sleep(600)"


@dataclass(frozen=True)
class Family:
    """A program and a child of it that ignores SIGTERM; a named pipe ends when both are gone."""

    pipe: Path
    reading: int

    @property
    def script(self) -> str:
        child = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
            f"held = open({str(self.pipe)!r}, 'w'); print('deaf', flush=True); time.sleep(600)"
        )
        return (
            "import subprocess, sys, time; "
            f"held = open({str(self.pipe)!r}, 'w'); "
            f"subprocess.Popen([sys.executable, '-c', {child!r}]); "
            "time.sleep(600)"
        )

    async def gone(self) -> None:
        """Wait until neither runs."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self.reading, "rb")
        )
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        transport.close()


@pytest.fixture
def family(tmp_path: Path) -> Family:
    """Return a family whose pipe is open for reading."""
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    return Family(pipe, os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))


def part(name: str, tmp_path: Path, script: str, *, said: str = "up", **more: Any) -> Part:
    log = tmp_path / f"{name}.log"
    values = {"grace": 1.0, **more}
    return Part(name, (sys.executable, "-c", script), log, says(log, said), **values)


async def enter(*parts: Part) -> None:
    async with running(parts):
        raise AssertionError("all parts said that they are ready")


async def test_a_part_and_its_children_stop_with_the_body(tmp_path: Path, family: Family) -> None:
    """Leaving the body ends a part, and a child of it that ignores SIGTERM."""
    async with running([part("family", tmp_path, family.script, said="deaf")]):
        pass
    await family.gone()


async def test_a_part_waits_for_those_it_comes_after(tmp_path: Path) -> None:
    """A part starts once the other is ready, and has stopped before the other stops."""
    order = tmp_path / "order"
    async with running(in_order(tmp_path, order)):
        pass
    assert order.read_text() == "first+ second+ second- first- "


async def test_all_have_stopped_in_order_once_one_has_died(tmp_path: Path) -> None:
    """Whoever catches the error finds no part that still runs, as when the body ends by itself."""
    order = tmp_path / "order"
    mortal = part("mortal", tmp_path, f"import os; print(os.getpid()); {WAIT}")

    async def body() -> None:
        async with running([*in_order(tmp_path, order), mortal]):
            os.kill(int(mortal.log.read_text().split()[0]), signal.SIGKILL)
            await asyncio.sleep(PATIENCE)

    with pytest.raises(PartError, match="mortal ended unexpectedly"):
        await body()
    assert order.read_text() == "first+ second+ second- first- "


def in_order(tmp_path: Path, order: Path) -> tuple[Part, Part]:
    """Return two parts, the first after the other, that note in a file when they start and stop."""
    script = f"""
import signal, sys, time
def note(word):
    with open({str(order)!r}, "a") as file: file.write(word + " ")
def stop(*_):
    note("NAME-"); sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("NAME+"); print("up", flush=True); time.sleep(600)
"""
    second = part("second", tmp_path, script.replace("NAME", "second"), after=("first",), grace=10)
    return second, part("first", tmp_path, script.replace("NAME", "first"), grace=10)


@pytest.mark.parametrize(
    ("names", "after", "words"),
    [
        (("one", "one"), (), "two parts have one name"),
        (("one", "two"), ("three",), "no part is called three"),
    ],
    ids=["twice", "absent"],
)
async def test_parts_that_cannot_be_told_apart_or_found_start_nothing(
    tmp_path: Path, names: tuple[str, str], after: tuple[str, ...], words: str
) -> None:
    """Of two with one name the body would wait for one alone, and for an absent one in vain."""
    first, second = names
    with pytest.raises(ValueError, match=words):
        await enter(part(first, tmp_path, WAIT), part(second, tmp_path, WAIT, after=after))
    assert list(tmp_path.iterdir()) == []


async def test_a_part_that_dies_at_start_is_named(tmp_path: Path, family: Family) -> None:
    """One line has the part, its exit code, its last words and its log; the others have stopped."""
    other = part("other", tmp_path, family.script, said="deaf")
    dies = part("dies", tmp_path, "print('no disk'); raise SystemExit(7)", after=("other",))
    with pytest.raises(PartError) as raised:
        await enter(other, dies)
    assert str(raised.value) == (
        f"dies did not start (exit code 7); its last words: no disk; its log: {dies.log}"
    )
    await family.gone()


async def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """A missing program reads as such, without a traceback."""
    log = tmp_path / "log"
    with pytest.raises(PartError, match=r"cannot start /absent: No such file"):
        await enter(Part("absent", ("/absent",), log, says(log, "up")))


async def test_a_part_that_dies_later_ends_the_body(tmp_path: Path) -> None:
    """The body does not go on without a part: it is cancelled, and the error says which died."""
    mortal = part("mortal", tmp_path, f"import os; print(os.getpid()); {WAIT}")

    async def body() -> None:
        async with running([mortal]):
            os.kill(int(mortal.log.read_text().split()[0]), signal.SIGKILL)
            await asyncio.sleep(PATIENCE)
            raise AssertionError("the body went on")

    with pytest.raises(PartError, match=r"mortal ended unexpectedly \(exit code 137\)"):
        await body()


async def test_an_error_of_the_body_leaves_as_it_is(tmp_path: Path) -> None:
    """Callers see their own error, not a group of errors."""
    with pytest.raises(LookupError, match="mine"):
        async with running([part("quiet", tmp_path, WAIT)]):
            raise LookupError("mine")


async def test_a_part_that_is_never_ready_is_stopped(tmp_path: Path, family: Family) -> None:
    """Patience has an end, and the error says how long it was."""
    silent = part("silent", tmp_path, family.script, said="never", patience=0.5)
    with pytest.raises(PartError, match=r"silent was not ready within 0\.5 s; "):
        await enter(silent)
    await family.gone()


async def test_an_occupied_port_starts_nothing(tmp_path: Path) -> None:
    """The ports of all parts are checked before the first one starts."""
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = Port(holder.getsockname()[1], "udp")
        blocked = part("blocked", tmp_path, WAIT, ports=(port,))
        with pytest.raises(PartError, match=rf"blocked cannot listen on .*:{port.number}/udp: "):
            await enter(part("other", tmp_path, WAIT), blocked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
async def test_no_part_survives_its_leash(tmp_path: Path) -> None:
    """Killed, the leash cannot end its program; the kernel does."""
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    family = Family(pipe, os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
    holds = f"import os; held = open({str(pipe)!r}, 'w'); print(os.getppid()); {WAIT}"
    orphan = part("orphan", tmp_path, holds)

    async def body() -> None:
        async with running([orphan]):
            os.kill(int(orphan.log.read_text().split()[0]), signal.SIGKILL)
            await asyncio.sleep(PATIENCE)

    with pytest.raises(PartError, match=r"orphan ended unexpectedly \(exit code -9\)"):
        await body()
    await family.gone()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_part_survives_its_command(
    tmp_path: Path, family: Family, ending: signal.Signals
) -> None:
    """However the command ends, SIGKILL included, its parts and their children end too."""
    script = f"""
import asyncio, signal, sys
from pathlib import Path
from local.parts.part import Part, running
from local.parts.probes import says
# As ring.py does: a shell starts its background programs with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
async def main():
    log = Path({str(tmp_path / "log")!r})
    program = (sys.executable, "-c", {family.script!r})
    async with running([Part("family", program, log, says(log, "deaf"), grace=1.0)]):
        print("ready", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert command.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await command.stdout.readline() == b"ready\n"
        command.send_signal(ending)
        await command.wait()
    await family.gone()
