"""Claiming a journal that nobody writes to any more, as the Courier does.

A lock outlives its process where a forked child has it too. It is called left over when the process
that the journal names is gone for sure and the lock is one that this process took.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from thirdring.journal.locks import Lock, holder_pid, is_locked, ringer, ringing_path
from thirdring.journal.reading import JournalContents, last_job, read
from thirdring.journal.writer import Writer

__all__ = ["claim", "is_owned", "no_claim", "tidy"]

_LOOK_EVERY = 0.005
_DRAFT_SECONDS = 3600.0
"""A draft as old as this is nobody's: it becomes a journal in one sync."""


@contextmanager
def claim(path: Path) -> Iterator[JournalContents | None]:
    """Have the journal at `path` for oneself; None when somebody may write to it still.

    Inside, nobody writes to it, rings for it or claims it, too. When it has been moved away there,
    what is left of the ringing goes at the end.

    Raises:
        JournalError: It cannot be read.
        OSError: It cannot be locked.
    """
    with ExitStack() as held:
        claimed = False
        with suppress(FileNotFoundError):
            claimed = _claimed(path, held)
        yield read(path) if claimed else None
        if claimed and not path.exists():
            ringing_path(path).unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Take away what processes have left that died before their journal was there.

    Raises:
        OSError: The folder cannot be read or written.
    """
    for path in folder.glob("*.ringing"):
        with suppress(FileNotFoundError):
            lock = Lock.take(path)
            if lock is not None:
                lock.release(remove=not path.with_suffix("").exists())
    for draft in folder.glob(".*.draft"):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > _DRAFT_SECONDS:
                draft.unlink()


def _claimed(path: Path, held: ExitStack) -> bool:
    lock = Lock.take(path)
    if lock is not None:
        held.enter_context(lock)
    elif not _is_left_over(path, last_job(path)):
        return False
    beside = ringing_path(path)
    try:
        # Without the journal's own lock this one tells a job that comes now of the claim.
        ringing = Lock.take(beside, make=lock is None)
    except FileNotFoundError:
        return True
    if ringing is None:
        return _is_left_over(beside, ringer(beside))
    held.enter_context(ringing).say(None)
    return True


def is_owned(path: Path) -> bool:
    """Whether a living process still writes to the journal at `path`, or rings for it.

    Only a look, which may be old when it returns: `claim` tells for sure.
    """
    beside = ringing_path(path)
    if is_locked(beside) and not _is_left_over(beside, ringer(beside)):
        return True
    return is_locked(path) and not _is_left_over(path, last_job(path))


def _is_left_over(path: Path, holder: Writer | None) -> bool:
    return holder is not None and holder.is_certainly_dead() and holder_pid(path) == holder.pid


@contextmanager
def no_claim(path: Path, deadline: float) -> Iterator[bool]:
    """Keep claims away from a journal while its lock is held; False when there is one.

    Args:
        deadline: Until when, by the monotonic clock, a claim may still go away.
    """
    beside = ringing_path(path)
    while True:
        try:
            lock = Lock.take(beside)
        except FileNotFoundError:
            yield True
            return
        if lock is not None:
            with lock:
                yield True
            return
        holder = ringer(beside)
        if holder is not None and not holder.is_certainly_dead():
            yield True  # it rings, and nobody claims what rings
            return
        if time.monotonic() >= deadline:
            yield False
            return
        time.sleep(_LOOK_EVERY)
