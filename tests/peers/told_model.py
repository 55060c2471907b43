"""A realtime model that says and hears what a test tells it to, event by event.

It answers nothing of its own accord but what OpenAI's service always does: sessions are updated,
items are added unless the test holds them back, and the caller's voice cancels what is being said.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from livekit import rtc
from livekit.agents.llm import RealtimeSession
from livekit.agents.voice import io

__all__ = ["Ear", "ToldModel", "told_model"]

_RATE = 24_000


@dataclass
class ToldModel:
    """One connection's server side.

    Attributes:
        adds_items: Cleared to leave items unanswered, as a server that lags does.
        creates: Cleared to leave requests for a response unanswered.
        received: Events of the client, without audio.
        begun: Ids of the responses so far.
    """

    url: str = ""
    adds_items: asyncio.Event = field(default_factory=asyncio.Event)
    creates: asyncio.Event = field(default_factory=asyncio.Event)
    received: list[dict[str, Any]] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _socket: web.WebSocketResponse | None = None
    _active: str | None = None
    _message: str | None = None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _waiting: list[asyncio.Task[None]] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return what came of this kind."""
        return [event for event in self.received if event["type"] == kind]

    async def gets(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for the event of this kind that makes so many; return it."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def has_begun(self, count: int) -> None:
        """Wait until so many responses have begun."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: len(self.begun) >= count)

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        assert self._socket is not None
        number = next(self._numbers)
        await self._socket.send_json({"type": kind, "event_id": f"event_{number}", **fields})

    async def caller_begins(self) -> None:
        """Hear the caller; what is being said ends."""
        item = f"item_{next(self._numbers)}"
        kind = "input_audio_buffer.speech_started"
        await self.send(kind, item_id=item, audio_start_ms=0)
        await self._cancel()

    async def caller_ends(self) -> None:
        """Hear the caller no more."""
        kind = "input_audio_buffer.speech_stopped"
        await self.send(kind, item_id="item", audio_end_ms=0)

    async def begins(self, metadata: dict[str, str] | None = None) -> None:
        """Begin a response; of its own accord unless it was asked for with these metadata."""
        self._active = f"resp_{next(self._numbers)}"
        async with self._news:
            self.begun.append(self._active)
            self._news.notify_all()
        response = {"id": self._active, "object": "realtime.response", "metadata": metadata}
        await self.send("response.created", response={**response, "status": "in_progress"})

    async def speaks(self, level: int, seconds: float = 0.2) -> None:
        """Say something in the running response: samples of this level."""
        self._message = item = f"item_{next(self._numbers)}"
        shown = {"id": item, "type": "message", "role": "assistant", "content": []}
        place = {"response_id": self._active, "item_id": item, "output_index": 0}
        await self.send("response.output_item.added", **place, item=shown)
        await self.send("conversation.item.added", previous_item_id=None, item=shown)
        part = {"type": "audio", "transcript": ""}
        await self.send("response.content_part.added", **place, content_index=0, part=part)
        kind = "response.output_audio_transcript.delta"
        await self.send(kind, **place, content_index=0, delta=str(level))
        audio = level.to_bytes(2, "little") * int(seconds * _RATE)
        delta = base64.b64encode(audio).decode()
        await self.send("response.output_audio.delta", **place, content_index=0, delta=delta)

    async def calls(self, name: str, arguments: str = "{}") -> None:
        """Call a tool in the running response."""
        number = next(self._numbers)
        item = {
            "id": f"item_{number}",
            "type": "function_call",
            "call_id": f"call_{number}",
            "name": name,
            "arguments": arguments,
        }
        place = {"response_id": self._active, "output_index": 0}
        await self.send("response.output_item.added", **place, item=item)
        await self.send("conversation.item.added", previous_item_id=None, item=item)
        await self.send("response.output_item.done", **place, item=item)

    async def ends(self, status: str = "completed") -> None:
        """End the running response."""
        if self._message is not None and status == "completed":
            place = {"response_id": self._active, "item_id": self._message, "output_index": 0}
            await self.send("response.output_audio.done", **place, content_index=0)
            shown = {"id": self._message, "type": "message", "role": "assistant", "content": []}
            await self.send("response.output_item.done", **place, item=shown)
        response = {"id": self._active, "object": "realtime.response", "status": status}
        self._active = self._message = None
        await self.send("response.done", response=response)

    async def answers(self, level: int, seconds: float = 0.2) -> None:
        """Say something in a response of its own accord."""
        await self.begins()
        await self.speaks(level, seconds)
        await self.ends()

    async def uses(self, tool: str) -> None:
        """Call a tool in a response of its own accord."""
        await self.begins()
        await self.calls(tool)
        await self.ends()

    async def has_read_all(self, session: RealtimeSession[Any]) -> None:
        """Wait for all that the client has sent so far."""
        count = len(self.of("input_audio_buffer.clear")) + 1
        session.clear_audio()
        await self.gets("input_audio_buffer.clear", count)

    async def _cancel(self) -> None:
        if self._active is not None:
            await self.ends("cancelled")

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        self._socket = socket = web.WebSocketResponse()
        await socket.prepare(request)
        await self.send("session.created", session={"id": "sess_1", "type": "realtime"})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            event = json.loads(message.data)
            if event["type"] == "input_audio_buffer.append":
                continue
            async with self._news:
                self.received.append(event)
                self._news.notify_all()
            await self._react(event)
        return socket

    async def _react(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "conversation.item.create":
                self._waiting.append(asyncio.create_task(self._add(event)))
            case "response.create":
                self._waiting.append(asyncio.create_task(self._create(event)))
            case "response.cancel":
                await self._cancel()

    async def _add(self, event: dict[str, Any]) -> None:
        await self.adds_items.wait()
        previous, item = event.get("previous_item_id"), event["item"]
        await self.send("conversation.item.added", previous_item_id=previous, item=item)

    async def _create(self, event: dict[str, Any]) -> None:
        await self.creates.wait()
        await self.begins(event["response"]["metadata"])

    def stop(self) -> None:
        """Wait for nothing any more."""
        for task in self._waiting:
            task.cancel()


@asynccontextmanager
async def told_model() -> AsyncIterator[ToldModel]:
    """Serve one call on a free port of loopback."""
    model = ToldModel()
    model.adds_items.set()
    model.creates.set()
    app = web.Application()
    app.router.add_get("/v1/realtime", model._serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield model
    finally:
        model.stop()
        await runner.cleanup()


class Ear(io.AudioOutput):
    """Plays in real time, and keeps when each level was heard first.

    Attributes:
        heard: Levels, with the time of the loop at which each began.
    """

    def __init__(self) -> None:
        super().__init__(label="ear", capabilities=io.AudioOutputCapabilities(pause=False))
        self.heard: dict[int, float] = {}
        self._news = asyncio.Condition()
        self._began: float | None = None
        self._seconds = 0.0
        self._over: asyncio.TimerHandle | None = None

    async def hears(self, level: int) -> float:
        """Wait until this level is heard; return when that was."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: level in self.heard)
        return self.heard[level]

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        loop = asyncio.get_running_loop()
        if self._began is None:
            self._began = loop.time()
            self.on_playback_started(created_at=loop.time())
        self._seconds += frame.duration
        self.heard.setdefault(frame.data[0], loop.time())
        async with self._news:
            self._news.notify_all()

    def flush(self) -> None:
        super().flush()
        if self._began is not None:
            loop = asyncio.get_running_loop()
            self._over = loop.call_at(self._began + self._seconds, self._finish, False)

    def clear_buffer(self) -> None:
        if self._over is not None:
            self._over.cancel()
        if self._began is not None:
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        seconds, self._seconds = self._seconds, 0.0
        self._began = self._over = None
        self.on_playback_finished(playback_position=seconds, interrupted=interrupted)
