"""Conversations through the published client, every event of them checked as it passes."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from openai import AsyncOpenAI, Omit
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from pydantic import BaseModel

from tests.conformance.order import Transcript
from tests.conformance.shape import Event

__all__ = ["HANG", "INSTRUCTIONS", "LONG", "MOST_TOKENS", "TOOL", "Service", "Talk", "text_item"]

HANG = 20.0
MOST_TOKENS = 800
"""A bound for what a reply of the service may cost: 40 s of audio."""

INSTRUCTIONS = (
    "You are the virtual receptionist of Riverside Clinic, on the phone. Answer in one short "
    "sentence, in English.\n- The clinic: Riverside Clinic, 12 River Street. Parking is free."
)
LONG = "Please tell me about the clinic: how should I prepare for my visit? Use sixty words."
TOOL = {
    "type": "function",
    "name": "opening_hours",
    "description": "Tell when the clinic is open.",
    "parameters": {"type": "object", "properties": {}, "required": []},
}


@dataclass(frozen=True)
class Service:
    """Where the protocol is spoken: by the local server, or by OpenAI itself.

    Attributes:
        base_url: None is the client's own default.
    """

    model: str
    api_key: str = field(repr=False)
    base_url: str | None = None

    @property
    def local(self) -> bool:
        """Whether more can be asked of it than of a service that changes."""
        return self.base_url is not None

    def client(self, api_key: str | None = None) -> AsyncOpenAI:
        """Return the published client, as anybody would make it."""
        return AsyncOpenAI(api_key=api_key or self.api_key, base_url=self.base_url, max_retries=0)

    @asynccontextmanager
    async def talk(self, *, api_key: str | None = None, **session: Any) -> AsyncIterator[Talk]:
        """Connect, configure, and check the whole transcript in the end.

        Args:
            session: What `session.update` says beside the instructions; `configure=False` leaves
                the session as it is.
        """
        configure = session.pop("configure", True)
        async with (
            self.client(api_key) as client,
            client.realtime.connect(model=self.model) as connection,
        ):
            talk = Talk(connection, Transcript(lenient=not self.local))
            await talk.until("session.created")
            if configure:
                await talk.configure(**{"instructions": INSTRUCTIONS, **session})
            yield talk
            talk.transcript.finish()


def text_item(text: str, role: str = "user", **more: Any) -> Any:
    """Return a message as the client takes it."""
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


@dataclass
class Talk:
    """One connection of the client."""

    connection: AsyncRealtimeConnection
    transcript: Transcript
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        send = self.connection.send

        async def noted(event: Any) -> None:
            # What the client's resources send goes through here too.
            given = event.model_dump(exclude_unset=True) if isinstance(event, BaseModel) else event
            given = {key: value for key, value in given.items() if not isinstance(value, Omit)}
            document: Any = {"event_id": f"sent_{next(self._numbers)}", **given}
            self.transcript.sent(document)
            await send(document)

        self.connection.send = noted  # type: ignore[method-assign]  # recorded, then sent

    async def receive(self) -> Event:
        """Return the next event, checked."""
        async with asyncio.timeout(HANG):
            event: Event = json.loads(await self.connection.recv_bytes())
        self.transcript.received(event)
        return event

    async def until(self, *kinds: str) -> Event:
        """Read on to the next event of one of these types."""
        while (event := await self.receive())["type"] not in kinds:
            pass
        return event

    async def ever(self, kind: str) -> Event:
        """Return the first event of this type, also when it has come already."""
        earlier = (event for _, event in self.transcript.events if event["type"] == kind)
        return next(earlier, None) or await self.until(kind)

    async def configure(self, **session: Any) -> Event:
        """Change the session and return it as the server tells it."""
        asked: Any = {"type": "realtime", "max_output_tokens": MOST_TOKENS, **session}
        await self.connection.session.update(session=asked)
        told: Event = (await self.until("session.updated"))["session"]
        return told

    async def reply(self, **response: Any) -> Event:
        """Ask for a reply and return the response as it is done."""
        asked: Any = response
        await self.connection.response.create(response=asked)
        return await self.done()

    async def done(self) -> Event:
        """Return the next response that is done."""
        response: Event = (await self.until("response.done"))["response"]
        return response

    async def ask(self, text: str, **response: Any) -> Event:
        """Put a turn of text, ask for a reply and return the response as it is done."""
        await self.connection.conversation.item.create(item=text_item(text))
        await self.until("conversation.item.done")
        return await self.reply(**response)

    async def append(self, audio: bytes, *, size: int = 4800) -> None:
        """Append audio, 100 ms of PCM at a time."""
        for start in range(0, len(audio), size):
            chunk = base64.b64encode(audio[start : start + size]).decode()
            await self.connection.input_audio_buffer.append(audio=chunk)

    async def refused(self, event: Any) -> Event:
        """Send what cannot be done and return the error, which must name it."""
        name = f"refused_{next(self._numbers)}"
        named: Any = {**event, "event_id": name}
        await self.connection.send(named)
        error: Event = (await self.until("error"))["error"]
        assert (error["type"], error["event_id"]) == ("invalid_request_error", name)
        return error

    def heard(self) -> bytes:
        """Return all audio that has come."""
        deltas = (
            base64.b64decode(event["delta"])
            for by_client, event in self.transcript.events
            if not by_client and event["type"] == "response.output_audio.delta"
        )
        return b"".join(deltas)
