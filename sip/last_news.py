"""Tells, as a job ends, whether its caller has left: livekit-server says so in no fixed order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

import aiohttp
from livekit import api, rtc
from livekit.agents import JobContext

from sip.caller import Follower

__all__ = ["hear_of_departure"]

logger = logging.getLogger(__name__)

_NEWS_SECONDS: Final = 0.25
"""Between the end of a job that livekit-server asks for, and its saying so in the room."""

_LATE_NEWS_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 1.0


async def hear_of_departure(ctx: JobContext, follower: Follower) -> None:
    """Have the follower know of a caller who has left; return at once where it does.

    When livekit-server closes a room it ends the job by the worker, and tells the job of the caller
    and of the room by another connection: either may be first. To the job the first looks like a
    worker that stops (both "parent process shutdown"), but then the caller is still in the room.
    """
    if await _heard(follower, _NEWS_SECONDS):
        return
    present = await _present(ctx)
    if present is None or {follower.identity, ctx.room.local_participant.identity} <= present:
        return
    # The room itself says best why.
    if not await _heard(follower, _LATE_NEWS_SECONDS) and follower.identity not in present:
        follower.leave(rtc.DisconnectReason.ROOM_CLOSED)


async def _heard(follower: Follower, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await follower.left.wait()
    return False


async def _present(ctx: JobContext) -> set[str] | None:
    """Return who is in the room as livekit-server sees it; None where it does not say."""
    request = api.ListParticipantsRequest(room=ctx.room.name)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            answer = await ctx.api.room.list_participants(request)
    except api.ServerError as error:
        if error.code == api.ServerErrorCode.NOT_FOUND:
            return set()
        logger.warning("livekit-server does not say who is in the room: %s", error)
    except (aiohttp.ClientError, TimeoutError) as error:
        logger.warning("livekit-server does not say who is in the room: %r", error)
    else:
        return {participant.identity for participant in answer.participants}
    return None
