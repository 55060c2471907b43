"""A browser as our page and LiveKit's playground are one, without any browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc

from thirdring.watching import FAREWELL, TOPIC

__all__ = ["RoomBrowser", "room_browser"]

_LONGEST_WAIT = 20.0


@dataclass
class RoomBrowser:
    """Who has entered a room with a token.

    Attributes:
        events: All that it was shown, in order.
        heard: Whole turns of the transcript.
        gone: Resolves with the reason when it is out of the room.
    """

    room: rtc.Room
    events: list[dict[str, Any]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    gone: asyncio.Future[int] = field(default_factory=asyncio.Future)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: set[asyncio.Task[None]] = field(default_factory=set)

    async def until(self, **wanted: object) -> dict[str, Any]:
        """Return the first event with these fields, once it is there."""
        async with asyncio.timeout(_LONGEST_WAIT):
            while True:
                for event in self.events:
                    if wanted.items() <= event.items():
                        return event
                self._news.clear()
                await self._news.wait()

    async def until_heard(self, words: str) -> None:
        """Wait until a turn with these words is complete."""
        async with asyncio.timeout(_LONGEST_WAIT):
            while not any(words in turn for turn in self.heard):
                self._news.clear()
                await self._news.wait()

    async def says(self, text: str) -> None:
        """Type to the agent."""
        await self.room.local_participant.send_text(text, topic="lk.chat")

    async def until_agent_is(self, state: str) -> None:
        """Wait until the agent's participant says so, as LiveKit's pages show it."""
        async with asyncio.timeout(_LONGEST_WAIT):
            while state not in self._states():
                self._news.clear()
                await self._news.wait()

    def _states(self) -> set[str | None]:
        others = self.room.remote_participants.values()
        return {other.attributes.get("lk.agent.state") for other in others}

    def listen(self) -> None:
        """Note everything from now on; before joining."""
        self.room.on("data_received", self._on_data)
        self.room.on("disconnected", self._on_disconnected)
        # Who comes and goes at once is first seen with its last words.
        self.room.on("participant_connected", self.note_farewell)
        self.room.on("participant_attributes_changed", lambda _, one: self.note_farewell(one))
        self.room.register_text_stream_handler("lk.transcription", self._on_text)

    def _on_data(self, packet: rtc.DataPacket) -> None:
        assert packet.topic == TOPIC
        self.events.append(json.loads(packet.data))
        self._news.set()

    def note_farewell(self, participant: rtc.Participant) -> None:
        """Note why the agent ends the call, if it says so."""
        told = participant.attributes.get(FAREWELL)
        event = json.loads(told) if told else None
        if event and event not in self.events:
            self.events.append(event)
        self._news.set()

    def _on_disconnected(self, reason: int) -> None:
        if not self.gone.done():
            self.gone.set_result(reason)

    def _on_text(self, reader: rtc.TextStreamReader, _identity: str) -> None:
        task = asyncio.create_task(self._read(reader))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _read(self, reader: rtc.TextStreamReader) -> None:
        with contextlib.suppress(Exception):  # the room may go in the middle of a turn
            self.heard.append(await reader.read_all())
            self._news.set()


@contextlib.asynccontextmanager
async def room_browser(url: str, token: str) -> AsyncIterator[RoomBrowser]:
    """Enter, with a microphone that is silent."""
    browser = RoomBrowser(rtc.Room())
    browser.listen()
    source = rtc.AudioSource(48_000, 1)
    await browser.room.connect(url, token)
    for participant in browser.room.remote_participants.values():
        browser.note_farewell(participant)
    try:
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        await browser.room.local_participant.publish_track(track, microphone)
        yield browser
    finally:
        await browser.room.disconnect()
        await source.aclose()
