"""The published client in sound: both ways, with and without turn detection, in PCM and G.711."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from livekit import rtc

from local.caller.g711 import mulaw_decode, mulaw_encode
from tests.conformance.talk import LONG, Service, text_item

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500}


def spoken(**heard: Any) -> dict[str, Any]:
    """Return audio settings with the caller's words written down."""
    return {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}, **heard}}


def words(response: dict[str, Any]) -> str:
    """Return what a response says."""
    (item,) = response["output"]
    return str(item["content"][0]["transcript"])


async def test_a_turn_that_the_server_ends(service: Service, question: bytes) -> None:
    """Speech starts and stops, is committed and written down, and is answered in sound."""
    async with service.talk(audio=spoken(turn_detection=SERVER_VAD)) as talk:
        await talk.append(question)
        started = await talk.until("input_audio_buffer.speech_started")
        committed = await talk.until("input_audio_buffer.committed")
        assert started["item_id"] == committed["item_id"]
        response = await talk.done()
        assert response["status"] == "completed"
        assert words(response)
        assert len(talk.heard()) > 24000
        assert response["usage"]["input_token_details"]["audio_tokens"] > 0
        assert (await talk.ever(TRANSCRIBED))["transcript"]


async def test_a_turn_that_the_client_ends(service: Service, question: bytes) -> None:
    """Nothing is answered before it is asked for, and what was cleared is not heard."""
    async with service.talk(audio=spoken(turn_detection=None)) as talk:
        await talk.append(question)
        await talk.connection.input_audio_buffer.clear()
        await talk.until("input_audio_buffer.cleared")
        await talk.refused({"type": "input_audio_buffer.commit"})
        await talk.append(question)
        await talk.connection.input_audio_buffer.commit()
        await talk.until(TRANSCRIBED)
        assert "response.created" not in talk.transcript.kinds()
        assert (await talk.reply())["status"] == "completed"


async def test_speech_interrupts_an_answer(service: Service, question: bytes) -> None:
    """The answer ends as cancelled by the turn, unless it was complete before."""
    async with service.talk(audio=spoken(turn_detection=SERVER_VAD)) as talk:
        await talk.connection.conversation.item.create(item=text_item(LONG))
        await talk.connection.response.create()
        await talk.until("response.output_audio.delta")
        await talk.append(question)
        response = await talk.done()
        if service.local or response["status"] == "cancelled":
            assert response["status_details"]["reason"] == "turn_detected"
        answer = await talk.done()
        assert answer["id"] != response["id"]


async def test_an_answer_is_truncated_to_what_was_heard(service: Service) -> None:
    """The conversation keeps the first 300 ms; more than there is cannot be kept."""
    async with service.talk(audio=spoken(turn_detection=None)) as talk:
        response = await talk.ask("Hello, who is this?")
        place = {"item_id": response["output"][0]["id"], "content_index": 0}
        longer = {"type": "conversation.item.truncate", **place, "audio_end_ms": 3_600_000}
        await talk.refused(longer)
        truncate: Any = talk.connection.conversation.item.truncate
        await truncate(**place, audio_end_ms=300)
        assert (await talk.until("conversation.item.truncated"))["audio_end_ms"] == 300


async def test_a_turn_that_is_put_as_an_item(service: Service, question: bytes) -> None:
    """Recorded speech, created as a user's message, is answered like a turn."""
    part = {"type": "input_audio", "audio": base64.b64encode(question).decode()}
    item: Any = {"type": "message", "role": "user", "content": [part]}
    async with service.talk(audio=spoken(turn_detection=None)) as talk:
        await talk.connection.conversation.item.create(item=item)
        added = (await talk.until("conversation.item.done"))["item"]
        assert [one["type"] for one in added["content"]] == ["input_audio"]
        response = await talk.reply(output_modalities=["text"])
        assert response["status"] == "completed"
        assert response["usage"]["input_token_details"]["audio_tokens"] > 0
        if service.local:
            # The script has heard the word: without this function it can say no more.
            assert "hours" in response["output"][0]["content"][0]["text"]


async def test_a_telephone_codec_both_ways(service: Service, question: bytes) -> None:
    """A caller in mu-law is heard and answered in mu-law: a byte is a sample of 8 kHz."""
    frames = rtc.AudioResampler(24000, 8000).push(bytearray(question))
    narrow = np.concatenate([np.frombuffer(frame.data, np.int16) for frame in frames])
    audio = spoken(turn_detection=SERVER_VAD, format={"type": "audio/pcmu"})
    async with service.talk(audio={**audio, "output": {"format": {"type": "audio/pcmu"}}}) as talk:
        await talk.append(mulaw_encode(narrow), size=800)
        await talk.until("input_audio_buffer.speech_started")
        response = await talk.done()
        assert response["status"] == "completed"
        assert (await talk.ever(TRANSCRIBED))["transcript"]
        # Speech decoded as what it is moves slowly from sample to sample; as PCM it would be noise.
        heard = mulaw_decode(talk.heard()).astype(np.float64)
        assert len(heard) > 4000
        assert np.mean(np.diff(heard) ** 2) < np.mean(heard**2)


async def test_the_voice_cannot_change_once_it_was_heard(service: Service) -> None:
    """Before the first words it can."""
    async with service.talk(audio=spoken(turn_detection=None)) as talk:
        await talk.configure(audio={"output": {"voice": "cedar"}})
        await talk.ask("Hello?")
        session = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
        await talk.refused({"type": "session.update", "session": session})
