"""Joins the room of a call, in which the caller waits, or did."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from livekit import api, rtc
from livekit.agents import JobContext

from sip.attendance import OUT_OF_REACH
from sip.caller import arrival

__all__ = ["join"]

logger = logging.getLogger(__name__)

_ARRIVAL_SECONDS: Final = 10.0
"""How long the caller's participant may take to show itself; it is there before the dispatch."""

_LOOK_SECONDS: Final = 0.5
"""How long joining may take until we look whether there is a room still; usually 0.05 s."""

_CONNECTING: Final = "connecting"


class _NobodyThereError(Exception):
    pass


async def join(ctx: JobContext) -> rtc.RemoteParticipant | None:
    """Join the room of this job and return the caller; None when nobody is there to talk to.

    livekit-server takes 200 ms to choose a worker. A caller who gives up takes the room along:
    before we came, and by joining we have made another one of its name; or just then, and the SDK
    waits 15 s for an answer before it tries again, which makes one, too.
    """
    try:
        await _connect(ctx)
        return await _caller(ctx)
    except _NobodyThereError as nobody:
        logger.warning("%s", nobody, extra={"room": ctx.room.name})
        return None


async def _connect(ctx: JobContext) -> None:
    connecting = asyncio.create_task(ctx.connect(), name="connecting")
    while not (await asyncio.wait({connecting}, timeout=_LOOK_SECONDS))[0]:
        if await _has_gone(ctx):
            # To cancel it could bring the SDK down; so it ends with the process, but not before.
            ctx.proc.userdata[_CONNECTING] = connecting
            raise _NobodyThereError("the caller gave up while we came")
    await connecting


async def _has_gone(ctx: JobContext) -> bool:
    expected = ctx.job.room
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            named = await ctx.api.room.list_rooms(api.ListRoomsRequest(names=[expected.name]))
    except OUT_OF_REACH:
        return False  # nobody knows; the SDK goes on trying
    return bool(expected.sid) and all(room.sid != expected.sid for room in named.rooms)


async def _caller(ctx: JobContext) -> rtc.RemoteParticipant:
    gave_up = False
    try:
        async with asyncio.timeout(_ARRIVAL_SECONDS):  # of a room that has gone it never comes
            gave_up = bool(ctx.job.room.sid) and await ctx.room.sid != ctx.job.room.sid
        return await arrival(ctx.room, timeout=0 if gave_up else _ARRIVAL_SECONDS)
    except TimeoutError:
        why = "the caller gave up before we came" if gave_up else "no caller came into the room"
        raise _NobodyThereError(why) from None
