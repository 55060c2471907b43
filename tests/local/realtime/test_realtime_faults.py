"""What breaks within the server, or is thrown at it: the caller keeps the line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import aiohttp
import pytest

from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load_all
from local.realtime.reflex import ReflexEars, ReflexScribe, ToneVoice, tone
from local.realtime.server import RealtimeServer, Settings, serve
from local.realtime.session import Engine
from local.realtime.turns import Samples
from tests.local.realtime.conftest import INSTRUCTIONS, WORKFLOWS, said

if TYPE_CHECKING:
    from local.realtime.hearing import Scribe
    from local.realtime.voice import Voice
    from tests.local.realtime.conftest import Client, Connect

Broken: TypeAlias = "Callable[[Scribe, Voice], AbstractAsyncContextManager[Client]]"

HALF = '{"type": "session.update", "session": {"instructions": "\\ud83d"}}'
DEEP = '{"type": "session.update", "session": {"tracing": ' + "[" * 300 + "]" * 300 + "}}"


class DeafScribe:
    async def transcribe(self, samples: Samples) -> str:
        raise RuntimeError("the recogniser broke")


class HoarseVoice(ToneVoice):
    async def say(self, sentence: str, *, speed: float = 1.0) -> bytes:
        raise RuntimeError("the voice broke")


@pytest.fixture
def broken(connect: Connect) -> Broken:
    """Give a function that serves the clinic's script with these parts."""

    @asynccontextmanager
    async def serving(scribe: Scribe, voice: Voice) -> AsyncIterator[Client]:
        engine = Engine(ReflexEars, scribe, ScriptBrain(load_all(WORKFLOWS)), voice)
        async with serve(Settings(port=0), engine) as server, connect(server) as client:
            audio = {"input": {"transcription": {"model": "any"}}}
            await client.configure(instructions=INSTRUCTIONS, audio=audio)
            yield client

    return serving


async def test_a_recogniser_that_fails_is_told_and_the_caller_asked_again(broken: Broken) -> None:
    """The client gets `failed` for the turn, the caller hears that nothing was understood."""
    async with broken(DeafScribe(), ToneVoice()) as client:
        await client.configure(output_modalities=["text"])
        await client.append(tone(700, 0.06))
        failed = await client.until("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["code"] == "transcription_failed"
        assert "did not catch" in said((await client.until("response.done"))["response"])


async def test_a_voice_that_fails_fails_the_response(broken: Broken) -> None:
    """The response says so, and the next one can be asked for."""
    async with broken(ReflexScribe(), HoarseVoice()) as client:
        for _ in range(2):
            response = (await client.ask("Hello?"))["response"]
            assert response["status"] == "failed"
            assert response["status_details"]["error"]["code"] == "internal_error"


@pytest.mark.parametrize("frame", [DEEP, HALF, b"\x00\x01"])
async def test_a_frame_that_cannot_be_read_is_refused(reflex: Client, frame: str | bytes) -> None:
    """Too deep, no characters or binary: an error, and the session's settings stay writable."""
    await reflex.socket.send_frame(
        frame if isinstance(frame, bytes) else frame.encode(),
        aiohttp.WSMsgType.BINARY if isinstance(frame, bytes) else aiohttp.WSMsgType.TEXT,
    )
    assert (await reflex.receive())["error"]["code"] == "invalid_json"
    await reflex.configure(instructions="still here")


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"type": "message", "role": "user", "content": [], "mood": "x"}, "unknown_parameter"),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_image"}]},
            "invalid_value",
        ),
        ({"type": "function_call", "call_id": "c", "name": "n"}, "missing_required_parameter"),
    ],
)
async def test_what_an_item_cannot_have_is_refused(
    reflex: Client, item: dict[str, object], code: str
) -> None:
    """Unknown fields and pictures are named, not dropped in silence."""
    error = await reflex.refused("conversation.item.create", item=item)
    assert error["code"] == code
    assert error["param"].startswith("item.")


async def test_ten_thousand_events_at_once_are_all_answered(reflex: Client) -> None:
    """A client that reads is not taken for one that does not, however fast it sends."""
    count = 10_000

    async def send() -> None:
        for _ in range(count):
            await reflex.socket.send_str('{"type":"input_audio_buffer.clear"}')

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(send())
        for _ in range(count):
            assert (await reflex.socket.receive_json())["type"] == "input_audio_buffer.cleared"


def held() -> int:
    """Return how many tasks and files there are."""
    return len(asyncio.all_tasks()) + len(list(Path("/dev/fd").iterdir()))


async def test_clients_that_vanish_while_we_speak_leave_nothing(
    reflex_server: RealtimeServer,
) -> None:
    """Their replies end with them: no task and no open file is left."""
    before = held()
    for _ in range(5):
        async with aiohttp.ClientSession() as http:
            socket = await http.ws_connect(f"{reflex_server.url}/realtime")
            await socket.send_json({"type": "response.create"})
            while (await socket.receive_json())["type"] != "response.output_audio.delta":
                pass
            assert reflex_server.sessions
            assert http.connector is not None
            await http.connector.close()  # the network goes, without a goodbye
    async with asyncio.timeout(20):
        while reflex_server.sessions or held() > before:  # noqa: ASYNC110 - the kernel's part too
            await asyncio.sleep(0.01)
