"""Who sits in the room in these tests: a bare rtc participant of kind agent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from livekit import api, rtc
from livekit.protocol.agent_dispatch import AgentDispatch
from numpy.typing import NDArray

from thirdring.access import LiveKitAccess

__all__ = ["Agent", "agent_for", "next_dispatch", "room_of", "until_gone"]

_RATE = 8000


@dataclass
class Agent:
    """One agent and what it saw of the caller's participant.

    Attributes:
        statuses: Of the call, after "ringing", as the agent saw them.
        heard: Frames of 10 ms with their times on the monotonic clock.
    """

    room: rtc.Room
    source: rtc.AudioSource
    statuses: list[str] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    heard: list[tuple[float, NDArray[np.int16]]] = field(default_factory=list)
    loudest: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, true: Callable[[], bool], timeout: float = 15) -> None:
        """Wait until `true` holds; it is looked at whenever something happens in the room."""
        try:
            async with asyncio.timeout(timeout):
                while not true():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise AssertionError(
                f"not within {timeout} s: statuses {self.statuses}, digits {self.digits}, left "
                f"{self.left}, loudest {self.loudest}, connection {self.room.connection_state}"
            ) from None

    @property
    def caller(self) -> rtc.RemoteParticipant:
        return next(iter(self.room.remote_participants.values()))

    async def say_tone(self, seconds: float) -> None:
        """Publish a loud 1 kHz tone."""
        phase = np.arange(_RATE // 100)
        wave = (16000 * np.sin(2 * np.pi * 1000 * phase / _RATE)).astype(np.int16).tobytes()
        for _ in range(round(seconds * 100)):
            await self.source.capture_frame(rtc.AudioFrame(wave, _RATE, 1, _RATE // 100))

    async def say(self, sound: NDArray[np.int16]) -> float:
        """Publish sound at the pace of the clock; return when it began."""
        begun = time.monotonic()
        for start in range(0, len(sound) - _RATE // 100 + 1, _RATE // 100):
            frame = sound[start : start + _RATE // 100].tobytes()
            await self.source.capture_frame(rtc.AudioFrame(frame, _RATE, 1, _RATE // 100))
            await asyncio.sleep(max(0.0, begun + start / _RATE - time.monotonic()))
        return begun

    async def listen(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=_RATE, num_channels=1, frame_size_ms=10)
        async for event in stream:
            samples = np.frombuffer(bytes(event.frame.data), dtype=np.int16)
            self.heard.append((time.monotonic(), samples))
            self.loudest = max(self.loudest, int(np.abs(samples.astype(np.int32)).max()))
            self.news.set()


async def room_of(server: api.LiveKitAPI, caller: str, timeout: float = 15) -> str:
    """Return the name of the caller's room as soon as there is one."""
    async with asyncio.timeout(timeout):
        while True:
            rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
            for room in rooms:
                if room.name.startswith(f"call-_{caller}_"):
                    return room.name
            await asyncio.sleep(0.02)


async def until_gone(server: api.LiveKitAPI, room: str, timeout: float = 15) -> None:
    """Wait until the room is no more; the API tells no events, so it is asked again and again."""
    async with asyncio.timeout(timeout):
        while True:
            if not (await server.room.list_rooms(api.ListRoomsRequest(names=[room]))).rooms:
                return
            await asyncio.sleep(0.02)


async def next_dispatch(
    server: api.LiveKitAPI, room: str, other_than: str, timeout: float = 15
) -> AgentDispatch:
    """Return the dispatch that took the place of another, alone in the room."""
    async with asyncio.timeout(timeout):
        while True:
            dispatches = await server.agent_dispatch.list_dispatch(room)
            if [one for one in dispatches if one.id != other_than]:
                (dispatch,) = dispatches
                return dispatch
            await asyncio.sleep(0.05)


@asynccontextmanager
async def agent_for(
    server: api.LiveKitAPI, access: LiveKitAccess, caller: str
) -> AsyncIterator[Agent]:
    """Join the caller's room as an agent that publishes audio and watches."""
    name = await room_of(server, caller)
    agent = Agent(rtc.Room(), rtc.AudioSource(_RATE, 1, queue_size_ms=100))
    listening: list[asyncio.Task[None]] = []
    room = agent.room

    @room.on("track_subscribed")
    def subscribed(track: rtc.Track, *_: object) -> None:
        listening.append(asyncio.create_task(agent.listen(track)))

    @room.on("participant_attributes_changed")
    def changed(changes: dict[str, str], _: rtc.Participant) -> None:
        if "sip.callStatus" in changes:
            agent.statuses.append(changes["sip.callStatus"])
            agent.news.set()

    @room.on("participant_disconnected")
    def gone(who: rtc.RemoteParticipant) -> None:
        agent.left.append(int(who.disconnect_reason or 0))
        agent.news.set()

    @room.on("sip_dtmf_received")
    def digit(dtmf: rtc.SipDTMF) -> None:
        agent.digits.append(dtmf.digit)
        agent.news.set()

    @room.on("participant_connected")
    def came(who: rtc.RemoteParticipant) -> None:
        # On a busy machine a participant may be active already when it is first shown.
        if (status := who.attributes.get("sip.callStatus", "ringing")) != "ringing":
            agent.statuses.append(status)
        agent.news.set()

    room.on("disconnected", lambda _: agent.news.set())
    token = (
        api.AccessToken(access.api_key, access.api_secret.get_secret_value())
        .with_kind("agent")
        .with_identity("agent")
        .with_grants(api.VideoGrants(room_join=True, room=name, can_update_own_metadata=True))
        .to_jwt()
    )
    await room.connect(access.url, token)
    track = rtc.LocalAudioTrack.create_audio_track("agent", agent.source)
    await room.local_participant.publish_track(
        track, rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    )
    try:
        yield agent
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*listening, return_exceptions=True)
        await room.disconnect()
        await agent.source.aclose()
