"""The published LiveKit plugin as the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, llm
from livekit.agents.llm import function_tool
from livekit.plugins import openai
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

if TYPE_CHECKING:
    from local.realtime.server import RealtimeServer
    from local.realtime.voice import Piper

RealtimeSession = openai.realtime.RealtimeSession
HANG = 20.0
INSTRUCTIONS = "You are the virtual receptionist of Riverside Clinic."


@function_tool
async def find_slots(day: str) -> str:
    """Find free slots.

    Args:
        day: A day.
    """
    return day


@pytest.fixture
async def session(speech_server: RealtimeServer) -> AsyncIterator[RealtimeSession]:
    """A realtime session of the plugin, configured for the clinic."""
    model = openai.realtime.RealtimeModel(
        base_url=speech_server.url,
        api_key="none",
        turn_detection=ServerVad(type="server_vad", silence_duration_ms=400),
        conn_options=APIConnectOptions(max_retry=1, retry_interval=0.1, timeout=5),
    )
    session = model.session()
    errors: list[llm.RealtimeModelError] = []
    session.on("error", errors.append)
    await session.update_instructions(INSTRUCTIONS)
    await session.update_tools([find_slots])
    yield session
    await session.aclose()
    await model.aclose()
    assert errors == []


async def read(generation: llm.GenerationCreatedEvent) -> tuple[str, str, float]:
    """Return a generation's message id, text and seconds of audio."""
    async with asyncio.timeout(HANG):
        async for message in generation.message_stream:
            text = "".join([str(piece) async for piece in message.text_stream])
            seconds = sum([frame.duration async for frame in message.audio_stream])
            return message.message_id, text, seconds
    raise AssertionError("no message")


async def next_event(session: RealtimeSession, name: Any, act: Callable[[], None]) -> Any:
    """Do something and return the session's next event of this name."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def arrived(event: Any) -> None:
        if not future.done():
            future.set_result(event)

    session.on(name, arrived)
    try:
        act()
        return await asyncio.wait_for(future, HANG)
    finally:
        session.off(name, arrived)


def speak(session: RealtimeSession, pcm: bytes) -> None:
    frame = rtc.AudioFrame(pcm, 24000, 1, len(pcm) // 2)
    session.push_audio(frame)
    session.push_audio(rtc.AudioFrame(bytes(48000), 24000, 1, 24000))


def user_text(session: RealtimeSession, text: str) -> llm.ChatContext:
    context = session.chat_ctx.copy()
    context.add_message(role="user", content=text)
    return context


async def test_generate_reply_speaks_the_quoted_greeting(session: RealtimeSession) -> None:
    """Text, audio and the client's own history hold what the instructions quote."""
    generation = await session.generate_reply(instructions='Say exactly: "Hello from Riverside."')
    item_id, text, seconds = await read(generation)
    assert (text, generation.user_initiated) == ("Hello from Riverside.", True)
    assert seconds > 0.5
    assert session.chat_ctx.get_by_id(item_id) is not None


async def test_a_spoken_turn_and_its_answer(session: RealtimeSession, piper: Piper) -> None:
    """Speech starts a turn, its words enter the history once, the answer starts by itself."""
    pcm = await piper.say("Are you a robot?")
    generation = await next_event(session, "generation_created", lambda: speak(session, pcm))
    assert "virtual assistant" in (await read(generation))[1]
    users = [i for i in session.chat_ctx.items if i.type == "message" and i.role == "user"]
    assert [(message.text_content or "").lower().count("robot") for message in users] == [1]


async def test_a_tool_turn(session: RealtimeSession) -> None:
    """The call arrives with its arguments; its output, sent back, is answered."""
    await session.update_chat_ctx(user_text(session, "An appointment for Tuesday, please"))
    generation = await session.generate_reply()
    async with asyncio.timeout(HANG):
        call = await anext(aiter(generation.function_stream))
    assert (call.name, json.loads(call.arguments)) == ("find_slots", {"day": "tuesday"})
    context = session.chat_ctx.copy()
    context.items.append(
        llm.FunctionCallOutput(
            call_id=call.call_id, name=call.name, output="Closed.", is_error=False
        )
    )
    await session.update_chat_ctx(context)
    assert "Closed." in (await read(await session.generate_reply()))[1]


async def test_barge_in_and_truncation(session: RealtimeSession, piper: Piper) -> None:
    """Speech ends the running answer; what was not heard leaves the conversation."""
    await session.update_chat_ctx(user_text(session, "How should I prepare for my visit?"))
    generation = await session.generate_reply()
    message = await anext(aiter(generation.message_stream))
    await anext(aiter(message.audio_stream))
    pcm = await piper.say("Are you a robot?")
    await next_event(session, "input_speech_started", lambda: speak(session, pcm))
    truncated = await next_event(
        session,
        "openai_server_event_received",
        lambda: session.truncate(
            message_id=message.message_id, modalities=["audio", "text"], audio_end_ms=200
        ),
    )
    assert truncated["type"] != "error"


async def test_a_reconnect_replays_the_conversation(session: RealtimeSession) -> None:
    """On the new connection the dialogue goes on where it was: a day answers the open question."""
    await session.update_chat_ctx(user_text(session, "I'd like to book an appointment"))
    assert (await read(await session.generate_reply()))[1] == "Which day would suit you?"
    await next_event(
        session,
        "session_reconnected",
        lambda: session.update_options(voice="cedar") or reconnect(session),
    )
    await session.update_chat_ctx(user_text(session, "Tuesday would be good"))
    generation = await session.generate_reply()
    async with asyncio.timeout(HANG):
        assert (await anext(aiter(generation.function_stream))).name == "find_slots"


def reconnect(session: RealtimeSession) -> None:
    raise NotImplementedError
