"""Writing the append-only file of one call: durable entry by entry."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from thirdring.calls import Ending, ToolUse, Turn
from thirdring.errors import CallTaken
from thirdring.journal.claiming import no_claim
from thirdring.journal.durable import DurableFile
from thirdring.journal.entries import (
    Ended,
    Entry,
    Opened,
    ToolBegun,
    ToolUsed,
    TurnSpoken,
    line,
)
from thirdring.journal.locks import PATIENCE_SECONDS, Lock
from thirdring.journal.opening import (
    append_durably,
    file_name,
    handed_over,
    offset,
    stamped,
    start,
    zero,
)
from thirdring.journal.reading import parse
from thirdring.journal.waking import wake

__all__ = ["Journal"]

logger = logging.getLogger(__name__)


class Journal:
    """The journal of one call while its job lives; leaving the context closes it.

    The file is locked (flock) until it is closed or its process dies, however it dies: that is how
    the Courier knows that nobody will write to it any more.
    """

    def __init__(self, path: Path, file: DurableFile, opened: Opened) -> None:
        self._path = path
        self._file = file
        self._opened = opened
        self._zero = zero(opened)
        self._ended: Ending | None = None

    @classmethod
    def create(cls, folder: Path, opened: Opened) -> Self:
        """Start the journal of a call in `folder`; `opened` is durable when this returns.

        Waits for the disk on purpose: nobody may speak before the call is known.

        Raises:
            CallTaken: The call has a journal.
            OSError: The folder cannot be written.
        """
        path = folder / file_name(opened.leg.call_id)
        first = stamped(opened, "job")
        try:
            descriptor, size = start(path, first, lock=True)
        except FileExistsError:
            raise CallTaken(f"call {opened.leg.call_id}: another job has opened {path}") from None
        return cls(path, DurableFile(descriptor, name=str(path), size=size), first)

    @classmethod
    def take(cls, folder: Path, opened: Opened) -> Self:
        """Take the journal that was opened when the phone began to ring, or start one.

        That this job has it is durable when this returns.

        Args:
            folder: Where the journals are.
            opened: What the job knows of the call. Where there is a journal already, its leg and
                its time of opening stay.

        Raises:
            CallTaken: Another job has it, or the call is over.
            OSError: The folder or the journal cannot be written.
        """
        path = folder / file_name(opened.leg.call_id)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if not path.exists():
                try:
                    return cls.create(folder, opened)
                except CallTaken:
                    continue  # the phone has begun to ring just now
            try:
                descriptor, size, first = _take(path, opened, deadline)
            except FileNotFoundError:
                continue  # it was archived just now
            return cls(path, DurableFile(descriptor, name=str(path), size=size), first)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def path(self) -> Path:
        """Where it is until the Courier has taken it."""
        return self._path

    @property
    def opened(self) -> Opened:
        """Its first entry, of this process or of the one that let the phone ring."""
        return self._opened

    @property
    def ended(self) -> Ending | None:
        """How the call ended; None while it goes on."""
        return self._ended

    def offset(self, at: datetime | None = None) -> float:
        """Return how many seconds after its opening the call is, or was at an instant before now.

        By the monotonic clock, counted on from whoever opened it.
        """
        return offset(self._zero, at)

    def append(self, entry: Entry) -> None:
        """Write `entry` soon (durable within 50 ms on a healthy disk), in the order of the calls.

        It gets its offset here. Nothing follows an ending: it is ignored.
        """
        if self._ended is not None:
            logger.debug("%s: %s after the ending is ignored", self._path.name, entry.kind)
            return
        self._file.append(line(self._with_offsets(entry)))
        if isinstance(entry, Ended):
            self._ended = entry.ending

    def _with_offsets(self, entry: Entry) -> Entry:
        match entry:
            case TurnSpoken(turn=spoken):
                inner: dict[str, object] = {"turn": self._span(spoken)}
            case ToolBegun(use=use) | ToolUsed(use=use):
                inner = {"use": self._span(use)}
            case Ended(ending=ending):
                over = self.offset(ending.at) if ending.offset is None else ending.offset
                inner = {"ending": ending.model_copy(update={"offset": over})}
            case _:
                inner = {}
        return entry.model_copy(update={"offset": self.offset(), **inner})

    def _span(self, part: Turn | ToolUse) -> Turn | ToolUse:
        ended = None if part.ended_at is None else self.offset(part.ended_at)
        offsets = {"started_offset": self.offset(part.started_at), "ended_offset": ended}
        return part.model_copy(update=offsets)

    async def flush(self) -> None:
        """Wait until every entry so far is durable."""
        await self._file.flush()

    async def close(self) -> None:
        """Write what is left and unlock; without an `Ended` the Courier calls it interrupted."""
        await self._file.close()
        wake(self._path.parent)


def _take(path: Path, opened: Opened, deadline: float) -> tuple[int, int, Opened]:
    """Return the locked journal at `path`: descriptor, size, first entry.

    Raises:
        CallTaken: As `Journal.take` does.
        FileNotFoundError: It has just gone.
        OSError: It cannot be written.
    """
    call = f"call {opened.leg.call_id}"
    lock = Lock.take(path, patience=max(0.0, deadline - time.monotonic()))
    if lock is None:
        raise CallTaken(f"{call}: another job has {path}")
    with lock, no_claim(path, deadline) as free:
        data = path.read_bytes()
        contents = parse(data)
        if not free or contents.ended:
            raise CallTaken(f"{call}: it is over, {path} has its ending")
        # Where the opening itself is damaged, this job's own one stands in for it.
        first = contents.opened or stamped(opened, "job")
        taking = first if contents.opened is None else handed_over(opened, zero(first))
        size = append_durably(lock.descriptor, data, taking)
        return lock.keep(), size, first
