"""What one response may do differently, and audio in the telephone's formats."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
import pytest

from local.caller.g711 import alaw_decode, alaw_encode, mulaw_decode, mulaw_encode
from local.realtime.configuration import Configuration, updated
from local.realtime.conversation import Conversation, Item
from local.realtime.formats import AudioFormat, Decoder, bytes_per_ms, encoded
from local.realtime.protocol import Refusal, ResponseParameters
from local.realtime.reflex import tone
from local.realtime.requests import requested
from tests.local.realtime.conftest import said

if TYPE_CHECKING:
    from tests.local.realtime.conftest import Client

LAWS = {"audio/pcmu": (mulaw_encode, mulaw_decode), "audio/pcma": (alaw_encode, alaw_decode)}


def format_of(kind: str) -> AudioFormat:
    change = {"audio": {"input": {"format": {"type": kind}}}}
    return updated(Configuration(), change).audio.input.format


def pure(samples: np.ndarray, rate: int) -> float:
    """Return the frequency of a tone; 0 when more than 2 % of the energy is something else."""
    energy = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    peak = int(np.argmax(energy))
    near = float(energy[peak - 5 : peak + 6].sum())
    return peak * rate / len(samples) if near > 0.98 * energy.sum() else 0.0


def user(text: str) -> dict[str, object]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


@pytest.mark.parametrize("kind", LAWS)
def test_a_tone_survives_the_telephone_formats(kind: str) -> None:
    """700 Hz in are a pure 700 Hz within and out, a byte for a sample of 8 kHz."""
    encode, decode = LAWS[kind]
    audio_format, decoder = format_of(kind), Decoder()
    narrow = np.frombuffer(tone(700, 1.5), np.int16)[::3]
    sent = encode(narrow)
    pcm = b"".join(
        decoder.decode(base64.b64encode(sent[start : start + 160]).decode(), audio_format)
        for start in range(0, len(sent), 160)
    )
    within = np.frombuffer(pcm, np.int16)
    assert len(within) == 3 * len(sent)
    assert pure(within, 24000) == pytest.approx(700, abs=3)
    back = encoded(pcm, audio_format)
    assert len(back) * 3 == pytest.approx(len(within), abs=30)
    assert pure(decode(back), 8000) == pytest.approx(700, abs=3)
    assert bytes_per_ms(audio_format) == 8


def test_nothing_is_nothing_in_every_format() -> None:
    """An empty append and an answer without sound are no fault."""
    for kind in (*LAWS, "audio/pcm"):
        assert Decoder().decode("", format_of(kind)) == encoded(b"", format_of(kind)) == b""


def test_a_byte_of_g711_is_a_whole_sample() -> None:
    """An odd number of bytes is half a sample in PCM only."""
    Decoder().decode("AA==", format_of("audio/pcmu"))
    with pytest.raises(Refusal, match="even length"):
        Decoder().decode("AA==", format_of("audio/pcm"))


async def test_a_format_of_one_response_is_its_own(reflex: Client) -> None:
    """It is told with the response, and the next one is again as the session says."""
    sizes = []
    for response in ({"audio": {"output": {"format": {"type": "audio/pcma"}}}}, {}):
        await reflex.configure(audio={"output": {"format": {"type": "audio/pcm"}}})
        reflex.seen.clear()
        await reflex.send("response.create", response=response)
        done = (await reflex.until("response.done"))["response"]
        deltas = [e["delta"] for e in reflex.seen if e["type"] == "response.output_audio.delta"]
        sizes.append((done["audio"]["output"]["format"]["type"], len(base64.b64decode(deltas[-2]))))
    assert sizes == [("audio/pcma", 800), ("audio/pcm", 4800)]


async def test_a_response_reads_its_own_input(text: Client) -> None:
    """Not the conversation's last turn is answered, but the input's; references are followed."""
    await text.send("conversation.item.create", item={**user("Are you a robot?"), "id": "asked"})
    await text.ask("Thank you.")
    for given in (user("Are you a robot?"), {"type": "item_reference", "id": "asked"}):
        await text.send("response.create", response={"input": [given], "conversation": "none"})
        response = (await text.until("response.done"))["response"]
        assert "virtual assistant" in said(response)
    await text.send("response.create", response={"input": [], "conversation": "none"})
    assert "Riverside Clinic" in said((await text.until("response.done"))["response"])


@pytest.mark.parametrize(
    ("said_first", "choice", "name", "arguments"),
    [
        ("Hello?", {"type": "function", "name": "end_call"}, "end_call", "{}"),
        ("Hello?", "required", "opening_hours", "{}"),
        ("An appointment on Tuesday", "required", "find_slots", '{"day": "tuesday"}'),
        ("An appointment on Tuesday", {"type": "function", "name": "end_call"}, "end_call", "{}"),
    ],
)
async def test_a_chosen_function_is_called(
    text: Client, said_first: str, choice: object, name: str, arguments: str
) -> None:
    """The script's own call has its arguments; one that it is made to make has none."""
    await text.send("conversation.item.create", item=user(said_first))
    await text.send("response.create", response={"tool_choice": choice})
    (call,) = (await text.until("response.done"))["response"]["output"]
    assert (call["name"], call["arguments"]) == (name, arguments)


def test_what_is_left_out_is_the_session_s() -> None:
    """A response without settings has those of its session, and reads the conversation."""
    configuration = Configuration(instructions="Be brief.")
    request = requested(ResponseParameters(), configuration, Conversation())
    assert (request.configuration, request.items, request.kept) == (configuration, None, True)


def test_a_reference_has_an_id_and_nothing_else() -> None:
    """It is refused by the field that is wrong."""
    conversation = Conversation()
    conversation.add(Item("one", "message"))
    for extra, param in (({}, "id"), ({"id": "one", "role": "user"}, "role"), ({"id": "x"}, "id")):
        asked = ResponseParameters(input=({"type": "item_reference", **extra},))
        with pytest.raises(Refusal) as refused:
            requested(asked, Configuration(), conversation)
        assert refused.value.param == f"response.input.0.{param}"


async def test_replies_out_of_band_are_cancelled_by_id_and_counted(reflex: Client) -> None:
    """Eight run at a time, the ninth is refused; one that is cancelled makes room."""
    for _ in range(8):
        await reflex.send("response.create", response={"conversation": "none"})
        created = await reflex.until("response.created")
    error = await reflex.refused("response.create", response={"conversation": "none"})
    assert error["code"] == "conversation_already_has_active_response"
    await reflex.send("response.cancel", response_id=created["response"]["id"])
    done = (await reflex.until("response.done"))["response"]
    assert (done["id"], done["status"]) == (created["response"]["id"], "cancelled")
    for kept in ("none", "auto"):
        await reflex.send("response.create", response={"conversation": kept})
        await reflex.until("response.created")


@pytest.mark.parametrize(
    ("kind", "enough", "sample"), [("audio/pcm", 4800, 2), ("audio/pcmu", 800, 1)]
)
async def test_short_commits_count_what_was_appended(
    reflex: Client, kind: str, enough: int, sample: int
) -> None:
    """100 ms are enough, to the sample; what was committed or cleared does not count again."""
    await reflex.configure(audio={"input": {"turn_detection": None, "format": {"type": kind}}})
    audio = base64.b64encode(bytes(enough)).decode()
    await reflex.send("input_audio_buffer.append", audio=audio)
    await reflex.send("input_audio_buffer.commit")
    await reflex.until("input_audio_buffer.committed")
    audio = base64.b64encode(bytes(enough - sample)).decode()
    await reflex.send("input_audio_buffer.append", audio=audio)
    error = await reflex.refused("input_audio_buffer.commit")
    assert error["code"] == "input_audio_buffer_commit_empty"
