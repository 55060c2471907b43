"""A home on a disk that is full: commands say so at once, a courier that runs waits for room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALL_DISK = ("unshare", "--map-root-user", "--mount", "sh", "-c")
FILLED = """
mount -t tmpfs -o size=256k tmpfs "$1" && { cat /dev/zero >"$1/filler" 2>&-; shift; exec "$@"; }
"""
EMPTY = 'mount -t tmpfs -o size=1m tmpfs "$1" && { shift; exec "$@"; }'

COURIER = """
import asyncio, logging, sys
from contextlib import suppress
from pathlib import Path
from tests.peers.couriers import at_url, running, until, write
from tests.peers.endpoint import serving
from tests.samples import ended
from thirdring.home import Home

said = []

class Alarms(logging.Handler):
    def emit(self, record):
        said.extend({"alarm", "alarm_over"} & set(vars(record)))

async def main():
    logging.getLogger().addHandler(Alarms())
    logging.getLogger().setLevel("INFO")
    home, aside = (Home(Path(sys.argv[1]) / name) for name in ("home", "aside"))
    aside.journals.mkdir(parents=True)
    for number in range(2, 60):
        await write(aside, ended(1), call_id=f"call-{number}")
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, ended(1))
        await endpoint.wait(1)
        filler = home.root / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        for journal in aside.journals.iterdir():
            journal.rename(home.journals / journal.name)
        await until(lambda: "alarm" in said)
        filler.unlink()
        await endpoint.wait(59)
        await until(lambda: "alarm_over" in said)
        arrived = {arrival.headers["webhook-id"] for arrival in endpoint.arrivals}
    print(*said, len(arrived))

asyncio.run(main())
"""


def _on(script: str, folder: Path, *program: str) -> subprocess.CompletedProcess[str]:
    ours = ("LIVEKIT_", "OPENAI_", "THIRDRING_")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [*SMALL_DISK, script, "sh", str(folder), sys.executable, *program],
        cwd=ROOT,
        env={**rest, "THIRDRING_HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Return a folder where a small disk can be mounted, if this machine lets us do that."""
    command = [*SMALL_DISK, 'mount -t tmpfs tmpfs "$1"', "sh", str(tmp_path)]
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets us mount no disk")
    return tmp_path


@pytest.mark.small_disk
@pytest.mark.parametrize("command", [("talk",), ("courier", "--once"), ("demo",)])
def test_a_full_disk_is_one_line(disk: Path, command: tuple[str, ...]) -> None:
    """It names the folder and two ways out, before anything else is asked for."""
    done = _on(FILLED, disk, "ring.py", *command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"{disk}: the disk is full (No space left on device); make room there, or set "
        "THIRDRING_HOME to a folder on another disk\n"
    )


@pytest.mark.small_disk
def test_a_courier_goes_on_once_there_is_room(disk: Path) -> None:
    """One alarm while the disk is full; afterwards the records of all 59 calls have arrived."""
    done = _on(EMPTY, disk, "-c", COURIER, str(disk))
    assert (done.returncode, done.stdout) == (0, "alarm alarm_over 59\n"), done.stderr
