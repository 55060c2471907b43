"""The reflex answers bursts, and only bursts."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np

from local.realtime.reflex import tone

if TYPE_CHECKING:
    from tests.local.realtime.conftest import Client

BURST = tone(700, 0.06)
QUIET = bytes(4800 * 2)
TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
]


async def listen(client: Client) -> None:
    await client.configure(audio={"input": {"transcription": {"model": "any"}}})
    client.seen.clear()


async def test_a_burst_is_answered_in_order(reflex: Client) -> None:
    """One append with a burst brings the whole turn and a 200 ms tone, in the API's order."""
    await listen(reflex)
    await reflex.append(BURST)
    await reflex.until("response.done")
    kinds = reflex.kinds()
    assert kinds[: len(TURN)] == TURN
    deltas = [e["delta"] for e in reflex.seen if e["type"] == "response.output_audio.delta"]
    assert b"".join(base64.b64decode(delta) for delta in deltas) == tone(1000, 0.2)
    assert len(base64.b64decode(deltas[0])) == 0.04 * 48000


async def test_the_reflex_arms_again_after_200_ms_of_quiet(reflex: Client) -> None:
    """Sound that goes on, or comes again within 200 ms, is no new burst; later it is."""
    await listen(reflex)
    await reflex.append(BURST + QUIET[: 48 * 180] + BURST)
    await reflex.until("response.done")
    await reflex.append(QUIET + QUIET + BURST)
    await reflex.until("response.done")
    assert reflex.kinds().count("input_audio_buffer.speech_started") == 2


async def test_noise_below_the_threshold_is_no_burst(reflex: Client) -> None:
    """A line that hums at 3 % of full scale gets no answer."""
    await listen(reflex)
    hum = np.full(4800, 983, np.int16).tobytes()
    await reflex.append(hum)
    await reflex.send("input_audio_buffer.clear")
    await reflex.until("input_audio_buffer.cleared")
    assert reflex.kinds() == ["input_audio_buffer.cleared"]


async def test_a_burst_interrupts_the_greeting(reflex: Client) -> None:
    """The greeting is cancelled, turn_detected; the answer survives the client's late cancel."""
    await listen(reflex)
    await reflex.send("response.create")
    await reflex.until("response.output_audio.delta")
    await reflex.append(BURST)
    cancelled = (await reflex.until("response.done"))["response"]
    assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    error = await reflex.refused("response.cancel")
    assert error["message"].startswith("Cancellation failed")
    while reflex.kinds().count("response.done") < 2:
        await reflex.receive()
    done = [e["response"]["status"] for e in reflex.seen if e["type"] == "response.done"]
    assert done == ["cancelled", "completed"]


async def test_settings_of_turn_detection_are_obeyed(reflex: Client) -> None:
    """Without create_response no reply comes, without interrupt_response the greeting goes on."""
    detection = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    await reflex.configure(audio={"input": {"turn_detection": detection}})
    await reflex.send("response.create")
    await reflex.until("response.output_audio.delta")
    await reflex.append(BURST)
    await reflex.until("input_audio_buffer.speech_stopped")
    assert (await reflex.until("response.done"))["response"]["status"] == "completed"
    assert reflex.kinds().count("response.created") == 1


async def test_a_reply_while_we_speak_is_refused_aloud(reflex: Client) -> None:
    """When speech may not interrupt but wants a reply, the client gets an error, not silence."""
    detection = {"type": "server_vad", "interrupt_response": False}
    await reflex.configure(audio={"input": {"turn_detection": detection}})
    await reflex.send("response.create")
    await reflex.until("response.output_audio.delta")
    await reflex.append(BURST)
    error = (await reflex.until("error"))["error"]
    assert error["code"] == "conversation_already_has_active_response"
