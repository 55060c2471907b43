"""LiveKit's published plugin, recorded at the socket: what both sides say is the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, llm
from livekit.agents.llm import function_tool
from livekit.plugins import openai
from openai.types.realtime import AudioTranscription
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from tests.conformance.conftest import KEY
from tests.conformance.shape import client_problems
from tests.conformance.talk import HANG, INSTRUCTIONS, LONG
from tests.conformance.tap import Tap, tapped
from thirdring.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from local.realtime.server import RealtimeServer


@function_tool
async def opening_hours() -> str:
    """Tell when the clinic is open."""
    return "From nine to five."


@pytest.fixture
async def tap(server: RealtimeServer) -> AsyncIterator[Tap]:
    """Stand between the plugin and the server."""
    async with tapped(server.url) as listening:
        yield listening


@pytest.fixture
async def session(tap: Tap) -> AsyncIterator[openai.realtime.RealtimeSession]:
    """A session of the plugin, configured as the worker configures it."""
    model = openai.realtime.RealtimeModel(
        base_url=tap.url,
        api_key=KEY,
        model=DEFAULT_MODEL,
        turn_detection=ServerVad(type="server_vad", silence_duration_ms=400),
        input_audio_transcription=AudioTranscription(model="any", language="en"),
        conn_options=APIConnectOptions(max_retry=1, retry_interval=0.1, timeout=5),
    )
    opened = model.session()
    await opened.update_instructions(INSTRUCTIONS)
    await opened.update_tools([opening_hours])
    yield opened
    await opened.aclose()
    await model.aclose()


async def heard(generation: llm.GenerationCreatedEvent) -> str:
    """Read a generation to its end and return its text."""
    async with asyncio.timeout(HANG):
        async for message in generation.message_stream:
            text = "".join([str(piece) async for piece in message.text_stream])
            async for _ in message.audio_stream:
                pass
            return text
    raise AssertionError("no message")


def next_event(session: openai.realtime.RealtimeSession, name: Any, kind: str = "") -> Any:
    """Return a future of the session's next event."""
    future = asyncio.get_running_loop().create_future()

    def arrived(event: Any) -> None:
        if not future.done() and (not kind or event["type"] == kind):
            future.set_result(event)

    session.on(name, arrived)
    return asyncio.wait_for(future, HANG)


async def ask(session: openai.realtime.RealtimeSession, text: str) -> llm.GenerationCreatedEvent:
    """Put a turn of text and return the generation that answers it."""
    context = session.chat_ctx.copy()
    context.add_message(role="user", content=text)
    await session.update_chat_ctx(context)
    return await session.generate_reply()


async def answer_call(session: openai.realtime.RealtimeSession) -> None:
    """Let the plugin give the output of the call that the hours need."""
    generation = await ask(session, "When are you open?")
    async with asyncio.timeout(HANG):
        (call,) = [call async for call in generation.function_stream]
    context = session.chat_ctx.copy()
    output = llm.FunctionCallOutput(
        call_id=call.call_id, name=call.name, output="From nine to five.", is_error=False
    )
    context.items.append(output)
    await session.update_chat_ctx(context)
    await heard(await session.generate_reply())


async def interrupt(session: openai.realtime.RealtimeSession, speech: bytes) -> None:
    """Speak into an answer, and cut it to what was heard."""
    generation = await ask(session, LONG)
    message = await anext(aiter(generation.message_stream))
    await anext(aiter(message.audio_stream))
    session.on("input_speech_started", lambda _: session.interrupt())
    started = next_event(session, "input_speech_started")
    answered = next_event(session, "generation_created")
    session.push_audio(rtc.AudioFrame(speech, 24000, 1, len(speech) // 2))
    await started
    cut = next_event(session, "openai_server_event_received", "conversation.item.truncated")
    session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=200)
    await cut
    generation = await answered
    async with asyncio.timeout(HANG):
        # The hours need a call, whose output nobody gives any more.
        assert [call.name async for call in generation.function_stream] == ["opening_hours"]


async def test_a_session_of_the_plugin_is_the_protocol(
    session: openai.realtime.RealtimeSession, tap: Tap, question: bytes
) -> None:
    """A greeting, a tool turn, an interruption: what either side says is published and in order."""
    assert await heard(await session.generate_reply(instructions='Say "Hello from Riverside."'))
    await answer_call(session)
    done = next_event(session, "openai_server_event_received", "response.done")
    await interrupt(session, question)
    await done
    await session.aclose()
    (transcript,) = tap.transcripts
    transcript.finish()
    sent = [event for by_client, event in transcript.events if by_client]
    assert [problem for event in sent for problem in client_problems(event)] == []
    assert {event["type"] for event in sent} >= {
        "session.update",
        "input_audio_buffer.append",
        "conversation.item.create",
        "conversation.item.truncate",
        "response.create",
        "response.cancel",
    }
    told = transcript.kinds()
    assert told.count("response.created") == told.count("response.done") >= 5
