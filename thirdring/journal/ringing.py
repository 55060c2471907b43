"""The journal of a call while its phone rings: open, but not yet any job's."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from thirdring.calls import Ending
from thirdring.errors import CallTaken
from thirdring.journal.entries import Elsewhere, Ended, Opened
from thirdring.journal.locks import PATIENCE_SECONDS, Lock, ringing_path
from thirdring.journal.opening import append_durably, file_name, offset, stamped, start, zero
from thirdring.journal.reading import last_job, parse, read
from thirdring.journal.waking import wake
from thirdring.journal.writer import Writer

__all__ = ["Ringing"]


class Ringing:
    """Holds the call for whoever opened its journal, until a job has it or it is over.

    A process that dies meanwhile leaves the journal to the Courier. Everything here waits for the
    disk: call it from a thread.

    Attributes:
        path: The journal.
        opened: Its first entry.
    """

    def __init__(self, path: Path, opened: Opened, lock: Lock) -> None:
        self.path = path
        self.opened = opened
        self._lock = lock

    @classmethod
    def open(cls, folder: Path, opened: Opened) -> Self:
        """Start the journal of a call that rings; it is durable when this returns.

        Args:
            folder: Where the journals are.
            opened: Names the writer where it is not a gateway.

        Raises:
            CallTaken: The call has a journal.
            OSError: The folder cannot be written.
        """
        path = folder / file_name(opened.leg.call_id)
        taken = CallTaken(f"call {opened.leg.call_id}: it has a journal, {path}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            raise taken
        lock = Lock.take(ringing_path(path), patience=PATIENCE_SECONDS, make=True)
        if lock is None:
            raise taken
        first = stamped(opened, "gateway")
        try:
            lock.say(first.writer)
            os.close(start(path, first, lock=False)[0])
        except FileExistsError:
            lock.release()
            raise taken from None
        except BaseException:
            lock.release(remove=True)
            raise
        return cls(path, first, lock)

    @classmethod
    def adopt(cls, path: Path, role: Literal["gateway", "courier"] = "courier") -> Self | None:
        """Hold a call again that a process of this role opened before it died.

        Returns:
            None when there is nothing to hold: a job has the call, it is over, somebody else holds
            it, or the journal was opened in another role.

        Raises:
            OSError: The folder cannot be written.
            JournalError: The journal cannot be read.
        """
        if not path.exists():
            return None
        lock = Lock.take(ringing_path(path), patience=PATIENCE_SECONDS, make=True)
        if lock is None:
            return None
        try:
            opened = _unanswered(path, role)
        except BaseException:
            lock.release()
            raise
        if opened is None:
            lock.release(remove=True)
            return None
        lock.say(Writer.here(role))
        return cls(path, opened, lock)

    @classmethod
    def join(cls, path: Path, role: Literal["gateway", "courier"] = "gateway") -> Self | None:
        """Hold a call that rings here, and whose journal its job has made first.

        Returns:
            None when the call is over, or another process rings for it.

        Raises:
            OSError: The folder cannot be written.
            JournalError: The journal cannot be read.
        """
        lock = Lock.take(ringing_path(path), patience=PATIENCE_SECONDS, make=True)
        if lock is None:
            return None
        try:
            contents = read(path) if path.exists() else None
        except BaseException:
            lock.release(remove=True)
            raise
        if contents is None or contents.opened is None or contents.ended:
            lock.release(remove=True)
            return None
        lock.say(Writer.here(role))
        return cls(path, contents.opened, lock)

    def release(self) -> None:
        """Leave the call to the job that has it; without one the Courier calls it interrupted."""
        self._lock.release(remove=True)
        wake(self.path.parent)

    def leave(self) -> None:
        """Stop holding the call, as a process does that dies: whoever adopts it goes on."""
        self._lock.release()

    def end(self, ending: Ending) -> bool:
        """Write how the call ended and release it; False when that is for a job to write.

        Raises:
            OSError: The disk is full or fails; the call is released all the same.
        """
        now = offset(zero(self.opened))
        ending = ending.model_copy(update={"offset": now})
        return self._close(Ended(at=ending.at, offset=now, ending=ending))

    def elsewhere(self) -> bool:
        """Leave the call to a job that keeps its journal on another machine, and release it.

        Returns:
            False when a job has the journal here, or it is over.

        Raises:
            OSError: As `end` does.
        """
        return self._close(Elsewhere(at=datetime.now(UTC), offset=offset(zero(self.opened))))

    def _close(self, entry: Ended | Elsewhere) -> bool:
        try:
            journal = Lock.take(self.path, patience=PATIENCE_SECONDS)
            return journal is not None and self._write(journal, entry)
        except FileNotFoundError:
            return False
        finally:
            self.release()

    def _write(self, journal: Lock, entry: Ended | Elsewhere) -> bool:
        with journal:
            data = self.path.read_bytes()
            if parse(data).ended:
                return False
            append_durably(journal.descriptor, data, entry)
            return True


def _unanswered(path: Path, role: str) -> Opened | None:
    """Return the opening of a journal that no job has, and nobody writes to just now."""
    try:
        journal = Lock.take(path, patience=PATIENCE_SECONDS)
    except FileNotFoundError:
        return None
    if journal is None:
        return None
    with journal:
        contents = read(path)
    opened = contents.opened
    if opened is None or opened.writer is None or opened.writer.role != role:
        return None
    return None if contents.ended or last_job(path) is not None else opened
