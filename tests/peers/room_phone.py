"""A SIP participant as livekit-sip makes it, without a phone behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from livekit import api, rtc

from thirdring import AGENT_NAME

__all__ = ["RoomPhone", "room_phone"]


@dataclass
class RoomPhone:
    """What the far end of a trunk hears and sees.

    Attributes:
        source: What it speaks into, at 8 kHz.
        sound: Set once audio of the agent arrived.
        gone: Resolves with the reason when the SIP side would send BYE.
    """

    room: rtc.Room
    source: rtc.AudioSource
    sound: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Future[int] = field(default_factory=asyncio.Future)
    _listening: list[asyncio.Task[None]] = field(default_factory=list)

    def listen(self, track: rtc.Track) -> None:
        """Watch one track for sound."""
        self._listening.append(asyncio.create_task(self._hear(track)))

    async def _hear(self, track: rtc.Track) -> None:
        stream = rtc.AudioStream(track, sample_rate=8000, num_channels=1)
        try:
            async for event in stream:
                if max(event.frame.data) > 1000:
                    self.sound.set()
        finally:
            await stream.aclose()

    def leave(self, reason: rtc.DisconnectReason.ValueType) -> None:
        """Note that the room is over for this participant."""
        if not self.gone.done():
            self.gone.set_result(reason)

    async def close(self) -> None:
        """Stop listening and leave."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        await self.room.disconnect()


@contextlib.asynccontextmanager
async def room_phone(
    environ: Mapping[str, str], name: str, *, attributes: Mapping[str, str], metadata: str | None
) -> AsyncIterator[RoomPhone]:
    """Call in: join as a SIP participant, dispatch our agent with `metadata`, "answer" at once.

    Args:
        metadata: None: no agent is dispatched.
    """
    keys = (environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"])
    dispatched = api.RoomAgentDispatch(agent_name=AGENT_NAME, metadata=metadata or "")
    configuration = api.RoomConfiguration(agents=[] if metadata is None else [dispatched])
    token = (
        api.AccessToken(*keys)
        .with_identity("sip_caller")
        .with_kind("sip")
        .with_attributes(dict(attributes))
        .with_grants(api.VideoGrants(room_join=True, room=name, can_update_own_metadata=True))
        .with_room_config(configuration)
        .to_jwt()
    )
    source = rtc.AudioSource(8000, 1)
    phone = RoomPhone(rtc.Room(), source)
    phone.room.on("track_subscribed", lambda track, *_: phone.listen(track))
    phone.room.on("disconnected", phone.leave)
    await phone.room.connect(environ["LIVEKIT_URL"], token)
    track = rtc.LocalAudioTrack.create_audio_track("phone", source)
    microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await phone.room.local_participant.publish_track(track, microphone)
    try:
        yield phone
    finally:
        await phone.close()
        await source.aclose()
