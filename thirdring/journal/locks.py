"""Which process may write to a journal: advisory locks (flock) that die with their holder.

Two of them belong to a call. The journal itself is locked by whoever writes to it. While the phone
rings nobody does, so whoever opened the journal holds a file beside it instead, `<name>.ringing`,
which says who that is.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from pydantic import ValidationError

from thirdring.journal.writer import Writer

__all__ = [
    "PATIENCE_SECONDS",
    "Lock",
    "holder_pid",
    "is_locked",
    "ringer",
    "ringing_path",
    "sync_folder",
]

PATIENCE_SECONDS = 0.3
"""Others look by locking, for microseconds: a lock is believed when it lasts longer than this."""

_LOOK_EVERY = 0.005


def ringing_path(journal: Path) -> Path:
    """Return the file that is locked while the phone of this call rings."""
    return journal.with_name(f"{journal.name}.ringing")


class Lock:
    """An open file and the lock on it; leaving the context gives both back."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

    @classmethod
    def take(cls, path: Path, *, patience: float = 0, make: bool = False) -> Lock | None:
        """Lock the file that has this name; None when somebody holds it for `patience` seconds.

        Raises:
            FileNotFoundError: There is none.
            OSError: It cannot be opened.
        """
        deadline = time.monotonic() + patience
        while True:
            flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if make else 0)
            descriptor = os.open(path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it may have put it away before it was ours.
                if _is_at(path, descriptor):
                    return cls(path, descriptor)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            time.sleep(_LOOK_EVERY)

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self, *, remove: bool = False) -> None:
        """Unlock and close, and take the file away first if told so; may be called again."""
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            if remove:
                self.path.unlink(missing_ok=True)
            # A forked child that lives on has the same lock: closing alone would leave it there.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def keep(self) -> int:
        """Return the descriptor, which is the caller's to unlock and close from now on."""
        descriptor, self.descriptor = self.descriptor, -1
        return descriptor

    def say(self, writer: Writer | None) -> None:
        """Write into the file who holds it; None: nobody who rings."""
        os.ftruncate(self.descriptor, 0)
        if writer is not None:
            os.pwrite(self.descriptor, writer.model_dump_json().encode(), 0)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file; looks by locking it for a moment."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def ringer(path: Path) -> Writer | None:
    """Return who a `.ringing` file says holds it; None when it says nobody."""
    try:
        return Writer.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def holder_pid(path: Path) -> int | None:
    """Return the process that took the lock on a file; None when that is not known.

    A forked child that lives longer has its parent's lock still, under the parent's pid
    (proc_locks(5)).
    """
    try:
        inode = path.stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    for fields in map(str.split, locks.splitlines()):
        if fields[1] == "FLOCK" and int(fields[5].rpartition(":")[2]) == inode:
            return int(fields[4])
    return None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino)
