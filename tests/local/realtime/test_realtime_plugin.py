"""The published LiveKit plugin as the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Literal

import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, llm
from livekit.agents.llm import function_tool
from livekit.plugins import openai
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from local.realtime.reflex import tone

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
    events: list[dict[str, Any]] = []
    session.on("openai_server_event_received", events.append)
    await session.update_instructions(INSTRUCTIONS)
    await session.update_tools([find_slots])
    yield session
    await session.aclose()
    await model.aclose()
    assert [event for event in events if event["type"] == "error"] == []


async def read(generation: llm.GenerationCreatedEvent) -> tuple[str, str, float]:
    """Return a generation's message id, text and seconds of audio."""
    async with asyncio.timeout(HANG):
        async for message in generation.message_stream:
            text = "".join([str(piece) async for piece in message.text_stream])
            seconds = sum([frame.duration async for frame in message.audio_stream])
            return message.message_id, text, seconds
    raise AssertionError("no message")


async def call_of(generation: llm.GenerationCreatedEvent) -> llm.FunctionCall:
    """Return a generation's only call."""
    async with asyncio.timeout(HANG):
        (call,) = [call async for call in generation.function_stream]
    return call


def arrival(
    session: RealtimeSession, name: Any, wanted: Callable[[Any], bool] = lambda event: True
) -> asyncio.Future[Any]:
    """Return a future of the session's next event of this name that is wanted."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def arrived(event: Any) -> None:
        if not future.done() and wanted(event):
            future.set_result(event)

    session.on(name, arrived)
    return future


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
    created = arrival(session, "generation_created")
    speak(session, pcm)
    generation = await asyncio.wait_for(created, HANG)
    assert "virtual assistant" in (await read(generation))[1]
    users = [i for i in session.chat_ctx.items if i.type == "message" and i.role == "user"]
    assert [(message.text_content or "").lower().count("robot") for message in users] == [1]


async def test_a_tool_turn(session: RealtimeSession) -> None:
    """The call arrives with its arguments; its output, sent back, is answered."""
    await session.update_chat_ctx(user_text(session, "An appointment for Tuesday, please"))
    call = await call_of(await session.generate_reply())
    assert (call.name, json.loads(call.arguments)) == ("find_slots", {"day": "tuesday"})
    context = session.chat_ctx.copy()
    output = llm.FunctionCallOutput(
        call_id=call.call_id, name=call.name, output="Closed.", is_error=False
    )
    context.items.append(output)
    await session.update_chat_ctx(context)
    assert "Closed." in (await read(await session.generate_reply()))[1]


async def test_barge_in_and_truncation(session: RealtimeSession, piper: Piper) -> None:
    """Speech ends the running answer; what was not heard leaves the conversation."""
    await session.update_chat_ctx(user_text(session, "How should I prepare for my visit?"))
    generation = await session.generate_reply()
    message = await anext(aiter(generation.message_stream))
    await anext(aiter(message.audio_stream))
    pcm = await piper.say("Are you a robot?")
    started = arrival(session, "input_speech_started")
    speak(session, pcm)
    await asyncio.wait_for(started, HANG)
    truncated = arrival(
        session,
        "openai_server_event_received",
        lambda event: event["type"] == "conversation.item.truncated",
    )
    modalities: list[Literal["text", "audio"]] = ["audio", "text"]
    session.truncate(message_id=message.message_id, modalities=modalities, audio_end_ms=200)
    event = await asyncio.wait_for(truncated, HANG)
    assert (event["item_id"], event["audio_end_ms"]) == (message.message_id, 200)


async def test_a_reconnect_replays_the_conversation(
    session: RealtimeSession, speech_server: RealtimeServer
) -> None:
    """On the new connection the dialogue goes on where it was: a day answers the open question."""
    await session.update_chat_ctx(user_text(session, "I'd like to book an appointment"))
    assert (await read(await session.generate_reply()))[1] == "Which day would suit you?"
    last = session.chat_ctx.items[-1].id
    replayed = arrival(session, "remote_item_added", lambda event: event.item.id == last)
    await speech_server.close()
    await asyncio.wait_for(replayed, HANG)
    await session.update_chat_ctx(user_text(session, "Tuesday would be good"))
    assert (await call_of(await session.generate_reply())).name == "find_slots"


async def test_the_reflex_interrupts_its_greeting_for_the_plugin(
    reflex_server: RealtimeServer,
) -> None:
    """The plugin's own cancel, sent for the greeting, does not hit the answer to the burst."""
    model = openai.realtime.RealtimeModel(base_url=reflex_server.url, api_key="none")
    session = model.session()
    greeting = await session.generate_reply(instructions="Greet.")
    message = await anext(aiter(greeting.message_stream))
    await anext(aiter(message.audio_stream))
    session.on("input_speech_started", lambda _: session.interrupt())
    answered = arrival(session, "generation_created")
    speak(session, tone(700, 0.1))
    _, _, seconds = await read(await asyncio.wait_for(answered, HANG))
    assert seconds == pytest.approx(0.2)
    await session.aclose()
    await model.aclose()
