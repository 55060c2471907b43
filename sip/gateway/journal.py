"""The gateway's side of a call's journal: from the INVITE until a job has it, or to the end.

Every call leaves a record, also one that no agent ever took. So the journal is opened while an
agent is being asked for, and the gateway writes the ending where no job can. Whatever the disk
does, the call goes on: what fails here is logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from sip.gateway.invitation import CallStatus, Invitation
from sip.inbound import Departure, phone_leg
from thirdring.calls import Ending
from thirdring.clock import Clock
from thirdring.errors import CallTaken
from thirdring.home import Home
from thirdring.journal import Opened, Ringing, Writer, file_name, read
from thirdring.journal.locks import Lock
from thirdring.settings import Business, Line

__all__ = ["CallJournal"]

logger = logging.getLogger(__name__)

_Value = TypeVar("_Value")


class _Job(NamedTuple):
    """The job that has the journal, or had it and died."""

    writer: Writer
    alive: bool


class CallJournal:
    """Opens, hands over and ends the journal of one call, one thing after the other.

    Nothing here is interrupted by a cancellation: a lock whose owner is forgotten would keep the
    record back for as long as the gateway lives.
    """

    def __init__(self, home: Home, clock: Clock, opened: Opened) -> None:
        self._home = home
        self._clock = clock
        self._opened = opened
        self._path = home.journals / file_name(opened.leg.call_id)
        self._ringing: Ringing | None = None
        self._has_journal = False
        self._elsewhere = False
        self._buried: Writer | None = None
        self._taken_by: Writer | None = None
        self._last: asyncio.Task[Any] | None = None

    @classmethod
    def of(
        cls, invitation: Invitation, business: Business, line: Line, home: Home, clock: Clock
    ) -> CallJournal:
        """Return the journal of a call to this line; `open` makes it."""
        attributes = invitation.attributes(CallStatus.RINGING)
        opened = Opened(
            at=clock.now(),
            monotonic=time.monotonic(),
            leg=phone_leg(invitation.identity, attributes, otherwise=invitation.room),
            business=business.slug,
            line=line.number,
            workflow=line.workflow,
            model=line.model,
            room=invitation.room,
            job="",
        )
        return cls(home, clock, opened)

    def open(self) -> asyncio.Task[None]:
        """Begin to make it durable."""
        return self._then(self._open())

    def seen_elsewhere(self) -> None:
        """Note that the job has opened a journal of this call on another machine."""
        self._elsewhere = True

    async def job_has_died(self) -> bool:
        """Tell, once of each, whether the process of the job that took the journal is gone."""
        job = await asyncio.shield(self._then(self._job()))
        if job is None or job.alive or job.writer == self._buried:
            return False
        self._buried = job.writer
        return True

    def job_is_gone(self) -> bool:
        """Tell whether the process of the job that has had the call since the answer is dead."""
        return self._taken_by is not None and self._taken_by.is_certainly_dead()

    def answered(self) -> asyncio.Task[None]:
        """Begin to leave the call to the job that has its journal; without one go on."""
        return self._then(self._release())

    async def over(self, departure: Departure) -> None:
        """Write how the call ended, unless that is for a job to write."""
        await asyncio.shield(self._then(self._over(departure)))

    def _then(self, work: Coroutine[Any, Any, _Value]) -> asyncio.Task[_Value]:
        before = self._last

        async def in_turn() -> _Value:
            if before is not None:
                await asyncio.wait({before})
            return await work

        task = asyncio.create_task(in_turn())
        self._last = task
        return task

    async def _open(self) -> None:
        self._ringing = await self._done("cannot be opened", self._ring)

    def _ring(self) -> Ringing | None:
        try:
            ringing: Ringing | None = Ringing.open(self._home.journals, self._opened)
        except CallTaken:
            # The job was faster, and may die while it rings as any other.
            ringing = Ringing.join(self._path)
        self._has_journal = True
        return ringing

    async def _job(self) -> _Job | None:
        return await self._done("cannot be read", lambda: _job_of(self._path))

    async def _release(self) -> None:
        job = await self._job()
        # A job that could not write, or an agent that is none of ours, leaves the ending to us.
        if job is None or not job.alive:
            return
        ringing, self._ringing, self._taken_by = self._ringing, None, job.writer
        if ringing is not None:
            await self._done("cannot be released", ringing.release)

    async def _over(self, departure: Departure) -> None:
        if not self._has_journal and not self._elsewhere:
            await asyncio.to_thread(self._ring_late)
        ringing, self._ringing = self._ringing, None
        if ringing is None:
            return
        if self._elsewhere:
            await self._done("cannot be ended", ringing.elsewhere)
            return
        reason, detail = departure
        ending = Ending(reason=reason, at=self._clock.now(), detail=detail)
        await self._done("cannot be ended", lambda: ringing.end(ending))

    def _ring_late(self) -> None:
        """Try once more what failed at the INVITE, and was logged then: the disk may work again."""
        archived = self._home.archive / self._path.name
        with suppress(OSError, CallTaken):  # taken: by a job that could write before the end
            if not archived.exists():
                self._ringing = Ringing.open(self._home.journals, self._opened)

    async def _done(self, failure: str, work: Callable[[], _Value]) -> _Value | None:
        try:
            return await asyncio.to_thread(work)
        except Exception:
            logger.exception(
                "the journal of a call %s; the call goes on, its record may be missing. Check the "
                "disk's free space and health, and who may write to %s",
                failure,
                self._home.journals,
                extra={"call_id": self._opened.leg.call_id, "alarm": "journal"},
            )
            return None


def _job_of(path: Path) -> _Job | None:
    if not path.exists():  # it could not be opened, or has been archived
        return None
    contents = read(path)
    writer = contents.job
    if writer is None or contents.ended:
        return None if writer is None else _Job(writer, alive=True)
    lock = Lock.take(path)
    if lock is None:
        # A forked child that lives longer keeps the lock.
        return _Job(writer, alive=not writer.is_certainly_dead())
    lock.release()
    return _Job(writer, alive=False)
