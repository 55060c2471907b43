"""Which calendar a business keeps elsewhere, if any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from thirdring.errors import CalendarError
from thirdring.guarded_http import GuardedClient, authorities
from thirdring.state import CallState
from tools.calendars.calendar import Calendar

__all__ = ["open_client", "open_outside"]

_SECONDS = 5.0
"""For one request; a tool has eight seconds for all of them."""


@asynccontextmanager
async def open_outside(state: CallState) -> AsyncIterator[Calendar | None]:
    """Yield the calendar that a call's business keeps elsewhere; None when it keeps none."""
    settings = state.business.calendar
    if settings.caldav is None and settings.google is None:
        yield None
        return
    async with await open_client(state) as client:
        try:
            outside = _outside(state, client)
        except ModuleNotFoundError as error:
            raise CalendarError(
                f"a business has a calendar elsewhere, and {error.name} is not installed: "
                "`uv sync --inexact --extra calendar`"
            ) from error
        yield outside


def _outside(state: CallState, client: GuardedClient) -> Calendar:
    settings = state.business.calendar
    if settings.caldav is not None:
        from tools.calendars.caldav import CalDavCalendar  # noqa: PLC0415 - an extra

        return CalDavCalendar(client, settings.caldav, state.business.time_zone)
    from tools.calendars.google import GoogleCalendar  # noqa: PLC0415 - an extra

    assert settings.google is not None
    return GoogleCalendar(client, settings.google, state.clock)


async def open_client(state: CallState) -> GuardedClient:
    """Return what reaches the calendars of this call's business, and nothing that it must not."""
    # Reading the authorities takes as long as a packet of sound, the first time.
    tls = await asyncio.to_thread(authorities)
    limits = httpx.Limits(max_connections=4)
    return GuardedClient(state.allowed_receivers, limits=limits, timeout=_SECONDS, tls=tls)
