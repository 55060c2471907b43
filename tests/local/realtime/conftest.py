"""A real server on a free port, its models loaded once, and a plain WebSocket client for it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load_all
from local.realtime.hearing import Moonshine, SileroModel
from local.realtime.reflex import ReflexEars, ReflexScribe, ToneVoice
from local.realtime.server import RealtimeServer, Settings, serve
from local.realtime.session import Engine
from local.realtime.turns import VadEars
from local.realtime.voice import Piper

Event = dict[str, Any]

WORKFLOWS = Path(__file__).parents[3] / "workflows"
INSTRUCTIONS = (
    "You are the virtual receptionist of Riverside Clinic, on the phone.\n"
    "- The clinic: Riverside Clinic, 12 River Street. Parking is free.\n"
    "- The patient: not known yet. Their phone number: +12025550199."
)
FUNCTIONS = ("opening_hours", "find_slots", "book_appointment", "end_call")
HANG = 20.0

_SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


@dataclass
class Client:
    """Speaks raw JSON; every event received is checked against the published types."""

    socket: aiohttp.ClientWebSocketResponse
    seen: list[Event] = field(default_factory=list)

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def receive(self) -> Event:
        event: Event = await self.socket.receive_json(timeout=HANG)
        checked = _SERVER_EVENT.validate_python(event)
        assert checked.type == event["type"]
        self.seen.append(event)
        return event

    async def until(self, kind: str) -> Event:
        """Read on to the next event of this type; the ones before it are in `seen` too."""
        while True:
            event = await self.receive()
            if event["type"] == kind:
                return event

    async def configure(self, **session: Any) -> Event:
        await self.send("session.update", session={"type": "realtime", **session})
        return await self.until("session.updated")

    async def ask(self, text: str) -> Event:
        """Put a turn of text, ask for a reply and return its `response.done`."""
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")
        return await self.until("response.done")

    async def answer(self, text: str) -> str:
        """Return what is said to a turn of text."""
        return said((await self.ask(text))["response"])

    async def result(self, call: Event, output: str) -> Event:
        """Give a call's result, ask for the reply and return its `response.done`."""
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
        await self.send("conversation.item.create", item=item)
        await self.send("response.create")
        return await self.until("response.done")

    async def refused(self, kind: str, **fields: Any) -> Event:
        """Send what must be refused and return the error."""
        await self.send(kind, event_id="mine", **fields)
        error: Event = (await self.until("error"))["error"]
        return error

    async def append(self, pcm: bytes, *, chunk_ms: int = 20) -> None:
        size = chunk_ms * 48
        for start in range(0, len(pcm), size):
            audio = base64.b64encode(pcm[start : start + size]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.seen]


def said(response: Event) -> str:
    """Return the text of a response's messages."""
    parts = [part for item in response["output"] for part in item.get("content", [])]
    return " ".join(part.get("text") or part.get("transcript") or "" for part in parts)


Connect = Callable[[RealtimeServer], AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect() -> Connect:
    """Give a function that opens a connection to a server."""

    @asynccontextmanager
    async def connected(server: RealtimeServer) -> AsyncIterator[Client]:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{server.url}/realtime?model=test", max_msg_size=0) as socket,
        ):
            client = Client(socket)
            await client.until("session.created")
            yield client

    return connected


@pytest.fixture
def piper(models: tuple[SileroModel, Moonshine, Piper]) -> Piper:
    """The voice; speaks for test callers too."""
    return models[2]


@pytest.fixture
def engine(models: tuple[SileroModel, Moonshine, Piper]) -> Engine:
    """Hear and speak with the real models, decide by the real scripts, on a fixed day."""
    silero, moonshine, voice = models
    brain = ScriptBrain(load_all(WORKFLOWS), today=lambda: date(2026, 11, 21))
    return Engine(lambda: VadEars(silero.stream()), moonshine, brain, voice)


@pytest.fixture
async def speech_server(engine: Engine) -> AsyncIterator[RealtimeServer]:
    """A server that hears and speaks."""
    async with serve(Settings(port=0), engine) as server:
        yield server


@pytest.fixture
async def text(connect: Connect) -> AsyncIterator[Client]:
    """A connection to a script that answers the clinic's callers in text; no model is loaded."""
    brain = ScriptBrain(load_all(WORKFLOWS), today=lambda: date(2026, 11, 21))
    engine = Engine(ReflexEars, ReflexScribe(), brain, ToneVoice())
    tools = [{"type": "function", "name": name} for name in FUNCTIONS]
    async with serve(Settings(port=0), engine) as server, connect(server) as client:
        await client.configure(instructions=INSTRUCTIONS, tools=tools, output_modalities=["text"])
        yield client


@pytest.fixture
async def reflex_server() -> AsyncIterator[RealtimeServer]:
    """A server in reflex mode."""
    async with serve(Settings(port=0, reflex=True)) as server:
        yield server


@pytest.fixture
async def reflex(reflex_server: RealtimeServer, connect: Connect) -> AsyncIterator[Client]:
    """A connection to a reflex server."""
    async with connect(reflex_server) as client:
        yield client


@pytest.fixture
async def clinic(speech_server: RealtimeServer, connect: Connect) -> AsyncIterator[Client]:
    """A connection configured as the clinic's receptionist with its four functions."""
    tools = [{"type": "function", "name": name} for name in FUNCTIONS]
    async with connect(speech_server) as client:
        detection = {"type": "server_vad", "silence_duration_ms": 400}
        audio = {"input": {"transcription": {"model": "any"}, "turn_detection": detection}}
        await client.configure(instructions=INSTRUCTIONS, tools=tools, audio=audio)
        yield client


async def in_real_time(client: Client, pcm: bytes) -> None:
    """Append audio at the pace of a microphone."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for index in range(0, len(pcm), 960):
        await client.append(pcm[index : index + 960])
        ahead = start + (index + 960) / 48000 - loop.time()
        await asyncio.sleep(max(0.0, ahead))
