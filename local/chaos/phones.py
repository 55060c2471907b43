"""Callers by the dozen: a SIP side's participant without a phone behind it, and real SIP calls."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from livekit import api, rtc

from local.caller.call import open_call
from local.caller.errors import CallNotAsPlanned
from local.caller.placing import place_call
from local.caller.script import Script
from thirdring import AGENT_NAME

__all__ = ["Called", "Patience", "call_by_room", "call_by_sip", "speak_by_sip"]

_ENTERED_WITHIN = 10.0


@dataclass(frozen=True)
class Called:
    """What a caller knows of its call, times in seconds since the epoch.

    Attributes:
        over_at: When it hung up, or the far end did.
        rang: Somebody took it: a provisional answer, or a place in the room.
        refused: Why it was never answered.
    """

    begun_at: float
    answered_at: float | None
    over_at: float
    rang: bool
    refused: str | None = None


@dataclass(frozen=True)
class Patience:
    """How long a caller lets it ring, and talks once it is answered; in seconds."""

    rings: float
    talks: float


async def call_by_room(
    environ: Mapping[str, str], caller: str, called: str, patience: Patience
) -> Called:
    """Enter a room of its own as livekit-sip's participant does, stay, and leave.

    The line is open as soon as the agent has a track; it sends no sound.
    """
    begun_at, over_at = time.time(), 0.0
    room, answered, over = rtc.Room(), asyncio.Event(), asyncio.Event()
    room.on("track_subscribed", lambda *_: answered.set())
    room.on("disconnected", lambda *_: over.set())
    source = rtc.AudioSource(8000, 1)
    answered_at: float | None = None
    entered = False
    token = _token(environ, caller, called)
    connecting = asyncio.create_task(room.connect(environ["LIVEKIT_URL"], token))
    try:
        async with asyncio.timeout(_ENTERED_WITHIN):
            await asyncio.shield(connecting)
        track = rtc.LocalAudioTrack.create_audio_track("phone", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await room.local_participant.publish_track(track, options)
        entered = True
        with suppress(TimeoutError):
            async with asyncio.timeout(patience.rings):
                await answered.wait()
            answered_at = time.time()
            await room.local_participant.set_attributes({"sip.callStatus": "active"})
            async with asyncio.timeout(patience.talks):
                await over.wait()
    finally:
        over_at = time.time()
        # The SDK panics when it has connected and nobody waits for that any more.
        await asyncio.wait((connecting,))
        await room.disconnect()
        await source.aclose()
    return Called(begun_at, answered_at, over_at, entered)


def _token(environ: Mapping[str, str], caller: str, called: str) -> str:
    call = secrets.token_hex(6)
    attributes = {
        "sip.callID": f"SCL_{call}",
        "sip.callIDFull": f"{call}@chaos",
        "sip.callStatus": "ringing",
        "sip.phoneNumber": caller,
        "sip.trunkPhoneNumber": called,
        "sip.trunkID": "ST_chaos",
        "sip.ruleID": "SDR_chaos",
    }
    dispatch = api.RoomAgentDispatch(agent_name=AGENT_NAME)
    return (
        api.AccessToken(environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"])
        .with_identity(f"sip_{caller}")
        .with_kind("sip")
        .with_attributes(attributes)
        .with_grants(
            api.VideoGrants(room_join=True, room=f"call-{call}", can_update_own_metadata=True)
        )
        .with_room_config(api.RoomConfiguration(agents=[dispatch]))
        .to_jwt()
    )


async def call_by_sip(target: str, caller: str, patience: Patience) -> Called:
    """Dial, send silence, and hang up: CANCEL while it rings, BYE later."""
    begun_at = time.time()
    answered_at, refused = None, None
    async with open_call(target, caller=caller) as call:
        try:
            await call.wait_for_answer(patience.rings)
            answered_at = time.time()
            await asyncio.wait((call.ended,), timeout=patience.talks)
        except CallNotAsPlanned as error:
            refused = str(error)
        over_at = time.time()
    rang = call.log().ringing_at is not None or answered_at is not None
    return Called(begun_at, answered_at, over_at, rang, refused)


async def speak_by_sip(target: str, caller: str, script: Script) -> Called:
    """Dial and perform a spoken script, as far as it goes."""
    begun_at = time.time()
    result = await place_call(target, script, caller=caller)
    over_at = time.time()
    answer_ms, ring_ms = result.measures.invite_to_200_ms, result.measures.invite_to_180_ms
    answered_at = None if answer_ms is None else begun_at + answer_ms / 1000
    rang = answer_ms is not None or ring_ms is not None
    return Called(begun_at, answered_at, over_at, rang, result.problem)
