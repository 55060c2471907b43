"""The calendar of the business that a call is for: our store, and what it keeps elsewhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from thirdring.errors import CalendarError, StoreError, ToolRefused
from thirdring.state import CallState
from thirdring.store.agenda import Agenda, Span, Timed, overlap
from tools.calendars.calendar import Calendar, Entry
from tools.calendars.opening import open_outside

__all__ = ["BusinessCalendar", "calendar_of", "speakable"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_UNDOING_SECONDS = 4.0


@dataclass
class BusinessCalendar:
    """Both as one. What stands in the outside calendar alone, because something failed in between,
    is completed when the caller tries again, and taken out when the call is over.

    Attributes:
        outside: None when the business keeps none elsewhere.
    """

    state: CallState
    outside: Calendar | None = None
    _half_made: dict[str, Entry] = field(default_factory=dict)
    _putting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def agenda(self) -> Agenda:
        return Agenda(self.state.store, self.state.business.slug, self.state.leg.call_id)

    async def taken(self, span: Timed) -> list[Span]:
        """Return what is not free of a span, in order."""
        found = await self.agenda.taken(span, now=self.state.clock.now())
        if self.outside is not None:
            found += [busy for busy in await self.outside.busy(span) if overlap(busy, span)]
        return sorted(found)

    async def hold(self, entry: Entry) -> bool:
        """Keep the time of an entry for this call; False when it is not free."""
        if not await self.agenda.hold(entry, now=self.state.clock.now()):
            return False
        # What a first try has left there is our own.
        if self.outside is None or entry.id in self._half_made:
            return True
        if any(overlap(busy, entry) for busy in await self.outside.busy(entry)):
            await self.agenda.release()
            return False
        return True

    async def put(self, entry: Entry, write: Callable[[], Awaitable[T | None]]) -> T | None:
        """Put an entry, whose time is held, into both: outside first, then ours by `write`.

        Returns:
            What `write` has written; None when it could not have the time after all.
        """
        if self.outside is None:
            return await write()
        # A model may ask twice at once.
        async with self._putting:
            self._half_made[entry.id] = entry
            await self.outside.add(entry)
            written = await write()
            if written is not None:
                del self._half_made[entry.id]
            return written

    async def undo(self) -> None:
        """Take out of the outside calendar what our store knows nothing of."""
        for entry in self._half_made.values():
            assert self.outside is not None
            try:
                async with asyncio.timeout(_UNDOING_SECONDS):
                    # A tool whose time was up may have written it all the same.
                    if not await self.agenda.has(entry):
                        await self.outside.remove(entry.id)
            except (CalendarError, StoreError, TimeoutError) as error:
                logger.warning(
                    "call %s: the calendar may show %s, which was not booked: %s",
                    self.state.leg.call_id,
                    entry.id,
                    error,
                )


async def calendar_of(state: CallState) -> BusinessCalendar:
    """Return the calendar of this call's business; it is opened once per call."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[BusinessCalendar]:
        async with open_outside(state) as outside:
            calendar = BusinessCalendar(state, outside)
            try:
                yield calendar
            finally:
                await calendar.undo()

    return await state.port(BusinessCalendar, opening)


@contextmanager
def speakable(state: CallState) -> Iterator[None]:
    """While a calendar cannot be reached the caller is not left to wonder."""
    try:
        yield
    except (StoreError, CalendarError) as error:
        logger.warning("call %s: no calendar: %s", state.leg.call_id, error)
        raise ToolRefused(
            "The calendar cannot be reached right now. Say so, and offer to take a message."
        ) from error
