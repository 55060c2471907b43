"""What is in the way of a call: a disk that is full, a store that somebody else has locked."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.chaos.field import Field, Terms, open_field
from local.chaos.ledger import Call, Said, balance
from local.chaos.phones import Patience, call_by_sip
from thirdring.errors import PartError
from thirdring.journal import TurnSpoken, parse

__all__ = ["Outcome", "full_disk", "locked_store"]

_CALLER = "+12025550177"
_PATIENCE = 30.0
_DISK = "16m"
_HOLD = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@dataclass
class Outcome:
    """What was seen; `problems` is empty when all was as it must be."""

    name: str
    figures: dict[str, float | str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def check(self, holds: bool, otherwise: str) -> None:  # noqa: FBT001 - the claim itself
        """Note what is wrong unless it holds."""
        if not holds:
            self.problems.append(otherwise)


async def full_disk(folder: Path) -> Outcome:
    """Fill the disk of journals and store in the middle of a call, then make room again.

    The home is a small file system of its own; where none can be mounted, the job's files may not
    grow, which fails in the same place.

    Raises:
        PartError: A program does not start.
    """
    outcome = Outcome("disk full")
    home = folder / "home"
    home.mkdir(parents=True)
    with _small_disk(home) as mounted:
        outcome.figures["disk"] = f"tmpfs of {_DISK}" if mounted else "RLIMIT_FSIZE of the job"
        async with open_field(folder, Terms(home=home, idle=1)) as site:
            calling = asyncio.create_task(call_by_sip(site.target, _CALLER, Patience(20, 60)))
            await _until(lambda: _turns(site) >= 2)
            with _filled(site, mounted=mounted):
                await _through_a_full_disk(site, outcome)
            calling.cancel()
            await asyncio.wait([calling])
            await _judge(site, outcome)
            _check_files(site, outcome)
    return outcome


async def _through_a_full_disk(site: Field, outcome: Outcome) -> None:
    log = site.programs["worker"].part.log
    with suppress(TimeoutError):
        await _until(lambda: "cannot be written" in log.read_text(errors="replace"))
    now = time.time()
    # What fits into the journal's last page is written although the disk is full.
    waited = now - min((one.at for one in _unwritten(site)), default=now)
    outcome.figures["alarm after"] = f"{waited:.2f} s"
    outcome.check(waited < 1.0, f"the alarm came {waited:.2f} s after the first turn it is about")
    outcome.check("cannot be written" in log.read_text(errors="replace"), "there was no alarm")
    answers = _answers(site)
    with suppress(TimeoutError):
        await _until(lambda: _answers(site) >= answers + 2, 15)
    outcome.figures["answers meanwhile"] = _answers(site) - answers
    outcome.check(_answers(site) >= answers + 2, "the call did not go on")
    outcome.check(bool(_unwritten(site)), "the disk was not full: every turn was written")


async def locked_store(folder: Path, seconds: float) -> Outcome:
    """Have another process hold the store's lock; call, and let go after `seconds`.

    Raises:
        PartError: A program does not start.
    """
    outcome = Outcome(f"store locked for {seconds:g} s")
    async with open_field(folder, Terms(idle=1)) as site:
        with _held(site.stack.home.store):
            locked_at = time.monotonic()
            called = await call_by_sip(site.target, _CALLER, Patience(20, max(4.0, seconds / 2)))
            waited = None if called.answered_at is None else called.answered_at - called.begun_at
            outcome.figures["answered after"] = "never" if waited is None else f"{waited:.2f} s"
            outcome.check(waited is not None and waited < 10, "the call was not answered")
            outcome.figures["turns meanwhile"] = _turns(site)
            outcome.check(_turns(site) > 0, "nothing was said")
            await asyncio.sleep(max(0.0, locked_at + seconds - time.monotonic()))
            outcome.check(not site.receiver.received, "the store was not locked")
        freed_at = time.monotonic()
        await _judge(site, outcome)
        outcome.figures["record after"] = f"{time.monotonic() - freed_at:.2f} s"
    return outcome


async def _judge(site: Field, outcome: Outcome) -> None:
    """Wait for the record and compare it with what was said."""
    with suppress(TimeoutError):
        await _until(lambda: bool(site.receiver.received))
    said = site.said()
    begun_at = said[0].at - 20 if said else 0.0
    call = Call(_CALLER, "sip", begun_at, begun_at, _quiet_since(site), rang=True)
    found = balance([call], [], said, site.receiver.received)
    outcome.figures["turns due"] = found.due
    outcome.figures["turns missing"] = found.missing
    outcome.problems += found.problems


def _quiet_since(site: Field) -> float:
    """Return when the last turn was certainly over; what was said as we hung up may be lost."""
    return max((one.at for one in site.said()), default=0.0) - 0.2


def _check_files(site: Field, outcome: Outcome) -> None:
    archive = site.stack.home.archive
    damaged = [path.name for path in archive.glob("*.damaged*")] if archive.exists() else []
    outcome.check(not damaged, f"damaged: {', '.join(damaged)}")
    with closing(sqlite3.connect(site.stack.home.store)) as store:
        (said,) = store.execute("PRAGMA integrity_check").fetchone()
    outcome.check(said == "ok", f"the store is corrupt: {said}")


def _unwritten(site: Field) -> list[Said]:
    """Return the caller's turns that are in no journal."""
    journals = [parse(path.read_bytes()) for path in site.stack.home.journals.glob("*.jsonl")]
    entries = [entry for journal in journals for entry in journal.entries]
    written = {entry.turn.text for entry in entries if isinstance(entry, TurnSpoken)}
    return [one for one in site.said() if one.kind == "caller" and one.text not in written]


def _turns(site: Field) -> int:
    return sum(one.kind == "caller" for one in site.said())


def _answers(site: Field) -> int:
    return sum(one.kind == "agent" for one in site.said())


async def _until(holds: Callable[[], bool], seconds: float = _PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - other processes decide
            await asyncio.sleep(0.02)


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", f"size={_DISK},mode=700", "tmpfs", str(folder)]
    mounted = (
        mount is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def _filled(site: Field, *, mounted: bool) -> Iterator[None]:
    if mounted:
        filler = site.stack.home.root / "filler"
        _fill(filler)
        try:
            yield
        finally:
            filler.unlink()
        return
    limits = [(pid, resource.prlimit(pid, resource.RLIMIT_FSIZE)) for pid in site.jobs()]
    if not limits:
        raise PartError("no job holds a journal")
    for pid, (_, hard) in limits:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        for pid, before in limits:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass


@contextmanager
def _held(store: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        try:
            if holder.stdout.readline() != b"locked\n":
                raise PartError(f"{store}: cannot be locked")
            yield
        finally:
            holder.stdin.close()
            holder.wait()
