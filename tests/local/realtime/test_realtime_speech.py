"""Real speech in, real speech out: Piper speaks as the caller, Moonshine writes what was said."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

import numpy as np

from local.realtime.configuration import SemanticVad, ServerVad
from local.realtime.turns import Signal, TurnDetector, VadEars, patience

if TYPE_CHECKING:
    from local.realtime.hearing import Moonshine, SileroModel
    from local.realtime.voice import Piper
    from tests.local.realtime.conftest import Client, Event

ONE_SECOND = bytes(48000)


def audio_of(events: list[Event]) -> bytes:
    deltas = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    return b"".join(base64.b64decode(delta) for delta in deltas)


async def test_a_spoken_question_gets_a_spoken_answer(
    clinic: Client, piper: Piper, models: tuple[SileroModel, Moonshine, Piper]
) -> None:
    """The transcript has the question's words, and a recogniser hears the answer's."""
    clinic.seen.clear()
    await clinic.append(await piper.say("Are you a robot?") + ONE_SECOND)
    usage = (await clinic.until("response.done"))["response"]["usage"]
    heard = next(e["transcript"] for e in clinic.seen if e["type"].endswith("n.completed"))
    assert "robot" in heard.lower()
    ears = VadEars(models[0].stream())
    await ears.listen(audio_of(clinic.seen), None)
    assert "virtual assistant" in (await models[1].transcribe(ears.collected())).lower()
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_token_details"]["audio_tokens"] > 0


async def test_a_turn_and_its_answer_come_in_the_order_of_the_api(
    clinic: Client, piper: Piper
) -> None:
    """The turn is over and written before the response begins, which ends from the inside out."""
    clinic.seen.clear()
    await clinic.append(await piper.say("Are you a robot?") + ONE_SECOND)
    await clinic.until("response.done")
    kinds = list(dict.fromkeys(clinic.kinds()))
    assert kinds[:8] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
    ]
    ends = ("output_audio_transcript.done", "content_part.done", "output_item.done", "done")
    assert kinds[-4:] == [f"response.{end}" for end in ends]


async def test_the_user_item_comes_without_its_transcript(clinic: Client, piper: Piper) -> None:
    """The client appends what `completed` brings, so the item must not have it already."""
    await clinic.append(await piper.say("Hello?") + ONE_SECOND)
    added = (await clinic.until("conversation.item.added"))["item"]
    assert added["content"] == [{"type": "input_audio", "transcript": None}]
    done = await clinic.until("conversation.item.input_audio_transcription.completed")
    assert done["usage"]["type"] == "duration"
    assert done["usage"]["seconds"] > 0.3


async def test_speech_interrupts_a_long_answer(clinic: Client, piper: Piper) -> None:
    """Speech that begins while we answer cancels the answer at once; its rest is never sent."""
    await clinic.append(await piper.say("How should I prepare for my visit?") + ONE_SECOND)
    await clinic.until("response.output_audio.delta")
    await clinic.append(await piper.say("Are you a robot?"))
    await clinic.until("input_audio_buffer.speech_started")
    response = (await clinic.until("response.done"))["response"]
    assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert "insurance card" not in response["output"][0]["content"][0]["transcript"]


async def test_a_line_without_speech_stays_silent(clinic: Client) -> None:
    """Neither silence nor steady noise is taken for a caller."""
    clinic.seen.clear()
    noise = np.random.default_rng(1).normal(0, 300, 48000).astype(np.int16).tobytes()
    await clinic.append(ONE_SECOND + noise)
    await clinic.send("input_audio_buffer.clear")
    await clinic.until("input_audio_buffer.cleared")
    assert clinic.kinds() == ["input_audio_buffer.cleared"]


async def test_several_sessions_speak_at_once(piper: Piper) -> None:
    """Sentences asked for together all come, equal ones are equal."""
    one, two, again = await asyncio.gather(
        piper.say("We are open."), piper.say("We are closed."), piper.say("We are open.")
    )
    assert one == again != two
    fast = await piper.say("We are open.", speed=1.5)
    assert len(fast) < len(one)


def test_the_turn_detector_waits_as_long_as_asked() -> None:
    """Onset after three loud windows, a pause after three quiet ones, the end after the silence."""
    detector = TurnDetector()
    signals = [
        detector.step(probability, threshold=0.5, silence_ms=320)
        for probability in [0.9, 0.1, *[0.9] * 5, *[0.1] * 6, 0.9, *[0.1] * 12]
    ]
    assert [(i, s) for i, s in enumerate(signals) if s] == [
        (4, Signal.STARTED),
        (9, Signal.PAUSED),
        (13, Signal.RESUMED),
        (16, Signal.PAUSED),
        (23, Signal.ENDED),
    ]


def test_eagerness_is_patience() -> None:
    """The less eager, the longer the silence; server VAD says its own."""
    order = [
        patience(SemanticVad(type="semantic_vad", eagerness=eagerness))
        for eagerness in ("high", "medium", "low")
    ]
    assert order == sorted(order, key=lambda one: (one.finished_ms, one.unfinished_ms))
    fixed = patience(ServerVad(type="server_vad", silence_duration_ms=700))
    assert (fixed.finished_ms, fixed.unfinished_ms) == (700, 700)
