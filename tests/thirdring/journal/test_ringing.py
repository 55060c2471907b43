"""A call's journal from the first ring to the job, and who may have it when."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.samples import at, ended, opened, spoken
from thirdring.calls import Ending, EndReason
from thirdring.errors import CallTaken
from thirdring.journal import (
    Elsewhere,
    Ended,
    HandedOver,
    Journal,
    Ringing,
    Writer,
    claim,
    file_name,
    is_owned,
    line,
    read,
)
from thirdring.record import build

GONE = Ending(reason=EndReason.ABANDONED, at=at(4))
OTHER = """
import os, sys
from pathlib import Path
from tests.samples import opened
from thirdring.journal import Journal, Ringing

begin = {"take": Journal.take, "create": Journal.create, "ring": Ringing.open}[sys.argv[2]]
keep = begin(Path(sys.argv[1]), opened())
if "fork" in sys.argv and os.fork() == 0:
    os.close(1)
    os.read(0, 1)
    os._exit(0)
print("has it", flush=True)
os.read(0, 1)
"""


@contextmanager
def other_process(folder: Path, what: str, *options: str) -> Iterator[int]:
    """Have another process take, create or ring a call; yield its pid while it lives."""
    to_it, from_us = os.pipe()
    from_it, to_us = os.pipe()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", OTHER, str(folder), what, *options],
        {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        file_actions=[(os.POSIX_SPAWN_DUP2, to_it, 0), (os.POSIX_SPAWN_DUP2, to_us, 1)],
    )
    os.close(to_it)
    os.close(to_us)
    try:
        assert os.read(from_it, 6) == b"has it"
        yield pid
    finally:
        # A child of it ends when nobody can write to it any more.
        os.close(from_us)
        os.close(from_it)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def claimable(path: Path) -> bool:
    with claim(path) as contents:
        return contents is not None


async def test_a_call_goes_from_the_ring_to_the_job_to_the_courier(tmp_path: Path) -> None:
    """At each moment somebody has it; only when nobody has, it may be claimed."""
    ringing = Ringing.open(tmp_path, opened(business=None))
    assert not claimable(ringing.path)
    async with Journal.take(tmp_path, opened()) as journal:
        assert not claimable(ringing.path)
        ringing.release()
        assert not claimable(ringing.path)
        journal.append(spoken(1))
        journal.append(ended(2))
    with claim(journal.path) as contents:
        assert contents is not None
        kinds = [entry.kind for entry in contents.entries]
        assert kinds == ["opened", "handed_over", "turn", "ended"]
        assert build(contents.entries).business == "riverside_clinic"
        journal.path.rename(tmp_path / "archived")
    assert [path.name for path in tmp_path.iterdir()] == ["archived"]


async def test_the_job_counts_on_from_the_first_ring(tmp_path: Path) -> None:
    """Offsets are seconds since the INVITE, by a clock of the machine and not of a process."""
    ringing = Ringing.open(tmp_path, opened())
    assert ringing.opened.monotonic is not None
    early = ringing.opened.model_copy(update={"monotonic": ringing.opened.monotonic - 100})
    ringing.path.write_bytes(line(early))
    async with Journal.take(tmp_path, opened()) as journal:
        journal.append(spoken(1))
    offsets = [entry.offset for entry in read(journal.path).entries]
    assert offsets[0] == 0
    assert all(offset is not None and 100 <= offset < 130 for offset in offsets[1:])
    ringing.release()


async def test_after_a_restart_of_the_machine_the_wall_clock_counts_on(tmp_path: Path) -> None:
    """Another boot's monotonic clock says nothing."""
    began = datetime.now(UTC) - timedelta(seconds=50)
    old = opened().model_copy(update={"at": began, "monotonic": 7e9, "boot": "another"})
    (tmp_path / "call-1.jsonl").write_bytes(line(old))
    async with Journal.take(tmp_path, opened()) as journal:
        assert 50 <= journal.offset() < 80


def test_only_one_rings_for_a_call(tmp_path: Path) -> None:
    """A second INVITE of the same call is told so, ringing or not."""
    ringing = Ringing.open(tmp_path, opened())
    with pytest.raises(CallTaken, match="call-1"):
        Ringing.open(tmp_path, opened())
    ringing.release()
    with pytest.raises(CallTaken, match="call-1"):
        Ringing.open(tmp_path, opened())


async def test_only_one_job_takes_a_call(tmp_path: Path) -> None:
    """The second one is told so; so is one that comes after the end."""
    ringing = Ringing.open(tmp_path, opened())
    async with Journal.take(tmp_path, opened()) as journal:
        with pytest.raises(CallTaken, match="another job"):
            await asyncio.to_thread(Journal.take, tmp_path, opened())
        assert not ringing.end(GONE), "that is the job's to write"
        journal.append(ended(2))
    with pytest.raises(CallTaken, match="is over"):
        Journal.take(tmp_path, opened())
    assert [e.kind for e in read(journal.path).entries] == ["opened", "handed_over", "ended"]


async def test_a_job_without_a_ring_opens_the_journal(tmp_path: Path) -> None:
    """Behind livekit-sip nobody has; behind a browser neither."""
    async with Journal.take(tmp_path, opened()) as journal:
        (first,) = read(journal.path).entries
    assert first.kind == "opened"


def test_who_rings_writes_the_ending_of_a_call_that_no_job_took(tmp_path: Path) -> None:
    """Once, with the time since the INVITE; then it may be claimed."""
    ringing = Ringing.open(tmp_path, opened())
    assert ringing.end(GONE)
    with claim(ringing.path) as contents:
        assert contents is not None
        last = contents.entries[-1]
        assert isinstance(last, Ended)
        assert (last.ending.reason, last.offset) == (EndReason.ABANDONED, last.ending.offset)
    with pytest.raises(CallTaken, match="is over"):
        Journal.take(tmp_path, opened())


def test_a_call_that_another_machine_has_is_left_to_it(tmp_path: Path) -> None:
    """The journal here says so, and no job takes it any more."""
    ringing = Ringing.open(tmp_path, opened())
    assert ringing.elsewhere()
    with claim(ringing.path) as contents:
        assert contents is not None
        assert contents.elsewhere
        assert isinstance(contents.entries[-1], Elsewhere)
    with pytest.raises(CallTaken, match="is over"):
        Journal.take(tmp_path, opened())


async def test_a_torn_line_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    """Who goes on after a writer that died starts on a line of its own."""
    ringing = Ringing.open(tmp_path, opened())
    with ringing.path.open("ab") as file:
        file.write(b'1234abcd {"at":"2026')
    async with Journal.take(tmp_path, opened()) as journal:
        journal.append(ended(1))
    contents = read(journal.path)
    assert [entry.kind for entry in contents.entries] == ["opened", "handed_over", "ended"]
    assert contents.damaged == (b'1234abcd {"at":"2026',)
    ringing.release()


async def test_a_damaged_opening_is_replaced_by_the_job(tmp_path: Path) -> None:
    """The record is of the job's own opening; the bad line is kept."""
    ringing = Ringing.open(tmp_path, opened())
    ringing.path.write_bytes(b"?" + ringing.path.read_bytes()[1:])
    async with Journal.take(tmp_path, opened()) as journal:
        journal.append(ended(1))
    contents = read(journal.path)
    assert (contents.damaged_lines, contents.opened is not None) == (1, True)
    assert build(contents.entries).ending.reason is EndReason.CALLER_HUNG_UP
    ringing.release()


async def test_a_look_does_not_keep_a_job_from_its_call(tmp_path: Path) -> None:
    """While somebody looks at it as often as they can, each of 50 calls is taken."""
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for path in tmp_path.glob("*.jsonl"):
                with claim(path) as contents:
                    assert contents is None
                is_owned(path)

    looking = asyncio.get_running_loop().run_in_executor(None, look)
    try:
        for number in range(50):
            ringing = Ringing.open(tmp_path, opened(f"c{number}"))
            journal = await asyncio.to_thread(Journal.take, tmp_path, opened(f"c{number}"))
            ringing.path.rename(tmp_path / f"c{number}.done")
            ringing.release()
            await journal.close()
    finally:
        stop.set()
        await looking
    print("50 calls under a constant look, 0 refused")  # noqa: T201 - beside the zero


@pytest.mark.parametrize("what", ["ring", "take"])
def test_a_dead_process_leaves_its_call_to_be_claimed(tmp_path: Path, what: str) -> None:
    """However it died: while it lives nobody else has it, then whoever asks."""
    with other_process(tmp_path, what) as pid:
        path = tmp_path / "call-1.jsonl"
        assert is_owned(path)
        assert not claimable(path)
        kill(pid)
        assert not is_owned(path)
        with claim(path) as contents:
            assert contents is not None
            assert build(contents.entries).ending.reason is EndReason.INTERRUPTED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
@pytest.mark.parametrize("what", ["ring", "create", "take"])
def test_a_forked_child_does_not_keep_a_dead_processs_call(tmp_path: Path, what: str) -> None:
    """It has the lock of its parent and lives on; the parent's death counts."""
    with other_process(tmp_path, what, "fork") as pid:
        path = tmp_path / "call-1.jsonl"
        assert is_owned(path)
        assert not claimable(path)
        kill(pid)
        assert not is_owned(path)
        with claim(path) as contents:
            assert contents is not None
            if what == "create":
                with pytest.raises(CallTaken):
                    Journal.take(tmp_path, opened())


def test_a_restarted_courier_goes_on_ringing(tmp_path: Path) -> None:
    """It adopts what it had opened, and only that: no job's, no gateway's, no ended call."""
    writer = Writer.here("courier")
    by_courier = opened().model_copy(update={"writer": writer})
    ringing = Ringing.open(tmp_path, by_courier)
    assert Ringing.adopt(ringing.path) is None, "it is held"
    ringing.leave()
    assert claimable(ringing.path)
    again = Ringing.adopt(ringing.path)
    assert again is not None
    assert again.opened.leg == by_courier.leg
    assert not claimable(ringing.path)
    assert again.end(GONE)
    assert Ringing.adopt(ringing.path) is None
    gateway = Ringing.open(tmp_path, opened("other"))
    gateway.leave()
    assert Ringing.adopt(gateway.path) is None
    assert Ringing.adopt(tmp_path / "nothing.jsonl") is None


async def test_who_comes_after_the_job_holds_the_call_for_the_next_one(tmp_path: Path) -> None:
    """As long as the call rings and nobody else does; of one that is over there is nothing left."""
    path = tmp_path / file_name("call-1")
    assert Ringing.join(path) is None
    async with Journal.create(tmp_path, opened()):
        ringing = Ringing.join(path)
        assert ringing is not None
        assert Ringing.join(path) is None
    assert not claimable(path)
    assert ringing.end(GONE)
    assert claimable(path)
    assert Ringing.join(path) is None
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_writer_is_dead_only_where_that_is_certain(tmp_path: Path) -> None:
    """Another boot, another namespace of pids or a system without /proc tell nothing."""
    with other_process(tmp_path, "take") as pid:
        (first,) = read(tmp_path / "call-1.jsonl").entries
        writer = getattr(first, "writer", None)
        assert isinstance(writer, Writer)
        assert (writer.pid, writer.is_certainly_dead()) == (pid, False)
        kill(pid)
        assert writer.is_certainly_dead()
        for unknown in ({"boot": "x"}, {"pid_namespace": "x"}, {"started": None}):
            assert not writer.model_copy(update=unknown).is_certainly_dead()
    assert writer.model_copy(update={"pid": os.getpid()}).is_certainly_dead(), (
        "the pid is another's"
    )
    assert not Writer.here("job").is_certainly_dead()


async def test_a_hand_over_is_durable_before_the_job_speaks(tmp_path: Path) -> None:
    """When take returns, the file says which job has the call."""
    Ringing.open(tmp_path, opened()).release()
    async with Journal.take(tmp_path, opened()) as journal:
        last = read(journal.path).entries[-1]
        assert isinstance(last, HandedOver)
        assert (last.writer.pid, last.job) == (os.getpid(), "AJ_1")
