"""What the local server says, recorded: every event is published, and the checker sees any flaw."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
import pytest

from local.realtime.brain.chat import ChatBrain
from local.realtime.server import Settings, serve
from local.realtime.session import Engine
from tests.conformance.conftest import engine_of
from tests.conformance.order import Violation, replayed
from tests.conformance.shape import Event, server_models
from tests.conformance.talk import LONG, TOOL, Service, Talk, text_item
from thirdring.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from local.realtime.turns import Samples
    from tests.conformance.conftest import Models

Recording: TypeAlias = list[tuple[bool, Event]]

NOT_SENT = {
    "WebRTC and SIP only": {
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "input_audio_buffer.dtmf_event_received",
    },
    "MCP is not served": {
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "mcp_list_tools.failed",
        "response.mcp_call_arguments.delta",
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
        "response.mcp_call.failed",
    },
    "of the beta; the GA protocol says session.created and conversation.item.added": {
        "conversation.created",
        "conversation.item.created",
    },
    "nothing is limited here": {"rate_limits.updated"},
    "diarisation is not served": {"conversation.item.input_audio_transcription.segment"},
    "idle_timeout_ms is refused": {"input_audio_buffer.timeout_triggered"},
}


async def converse(service: Service, question: bytes) -> list[Recording]:
    """Return the transcripts of conversations that meet every event of the server."""
    vad = {"type": "server_vad", "silence_duration_ms": 400}
    heard = {"transcription": {"model": "any"}, "turn_detection": vad}
    recordings = []
    async with service.talk(audio={"input": heard}, tools=[TOOL]) as talk:
        recordings.append(talk.transcript.events)
        await talk.append(question)
        await _answer_call(talk, await talk.done())
        await _interrupt(talk, question)
    async with service.talk(output_modalities=["text"]) as talk:
        recordings.append(talk.transcript.events)
        await _visit(talk)
    return recordings


async def _answer_call(talk: Talk, response: Event) -> None:
    call = response["output"][0]
    output: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": "Nine."}
    await talk.connection.conversation.item.create(item=output)
    answer = await talk.reply()
    truncate: Any = talk.connection.conversation.item.truncate
    await truncate(item_id=answer["output"][0]["id"], content_index=0, audio_end_ms=100)
    await talk.until("conversation.item.truncated")


async def _interrupt(talk: Talk, question: bytes) -> None:
    await talk.connection.conversation.item.create(item=text_item(LONG))
    await talk.connection.response.create()
    await talk.until("response.output_audio.delta")
    await talk.append(question)
    assert (await talk.done())["status"] == "cancelled"
    await talk.done()


async def _visit(talk: Talk) -> None:
    connection = talk.connection
    await talk.ask(LONG)
    await talk.ask(LONG, max_output_tokens=1)
    await connection.conversation.item.create(item=text_item("Hi", id="one"))
    item = text_item("Be brief.", "system", id="two")
    await connection.conversation.item.create(item=item, previous_item_id="root")
    await connection.conversation.item.retrieve(item_id="one")
    await connection.conversation.item.delete(item_id="one")
    await talk.until("conversation.item.deleted")
    await talk.refused({"type": "conversation.item.delete", "item_id": "one"})
    await talk.reply(conversation="none", metadata={"why": "aside"})
    await connection.input_audio_buffer.clear()
    await talk.until("input_audio_buffer.cleared")
    await connection.input_audio_buffer.append(audio="AAAA" * 1600)
    await connection.input_audio_buffer.commit()
    await talk.until("conversation.item.done")


class DeafScribe:
    """A recogniser that fails."""

    async def transcribe(self, samples: Samples) -> str:
        raise RuntimeError("the recogniser broke")


async def fail(service: Service, question: bytes) -> Recording:
    """Return the transcript of a turn that is neither understood nor answered."""
    heard = {"transcription": {"model": "any"}, "turn_detection": {"type": "server_vad"}}
    async with service.talk(audio={"input": heard}) as talk:
        await talk.append(question)
        assert (await talk.done())["status"] == "failed"
    return talk.transcript.events


async def record(models: Models) -> list[Recording]:
    """Return all transcripts."""
    question = await models[2].say("Hello, when are you open on Monday?") + bytes(48000)
    engine = engine_of(models)
    async with serve(Settings(port=0), engine) as server:
        recordings = await converse(Service(DEFAULT_MODEL, "none", server.url), question)
    async with aiohttp.ClientSession() as http:
        chat = ChatBrain(http, "http://127.0.0.1:1/v1", "none")
        async with serve(Settings(port=0), Engine(engine.ears, DeafScribe(), chat, models[2])) as s:
            recordings.append(await fail(Service(DEFAULT_MODEL, "none", s.url), question))
    return [thinned(recording) for recording in recordings]


def thinned(recording: Recording) -> Recording:
    """Return a transcript with little sound, in which nothing is checked but its place."""
    kept, sounds = [], Counter[str]()
    for by_client, event in recording:
        if event["type"] == "response.output_audio.delta":
            sounds[event["item_id"]] += 1
            if sounds[event["item_id"]] > 2:
                continue
            event["delta"] = "AAAA"
        if event["type"] != "input_audio_buffer.append":
            kept.append((by_client, event))
    return kept


@pytest.fixture(scope="session")
def recordings(models: Models) -> list[Recording]:
    """What was said in conversations that meet every event; no test changes it."""
    made: Future[list[Recording]] = Future()

    def run() -> None:
        try:
            made.set_result(asyncio.run(record(models)))
        except BaseException as error:  # it reaches the test that waits
            made.set_exception(error)

    # A thread of its own, for the one of the tests belongs to their event loops.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made.result()


def test_every_published_server_event_is_sent_or_has_a_reason_not_to_be(
    recordings: list[Recording],
) -> None:
    """A client with new event types fails this; so does an event that we no longer send."""
    sent = {e["type"] for recording in recordings for by_client, e in recording if not by_client}
    never = set().union(*NOT_SENT.values())
    assert sent == set(server_models()) - never


def test_the_recordings_are_transcripts_of_the_protocol(recordings: list[Recording]) -> None:
    """The checker takes them, strictly and leniently."""
    for recording in recordings:
        assert replayed(recording).kinds() == replayed(recording, lenient=True).kinds()


# Flaws


def deletable(recording: Recording) -> list[int]:
    """Return what cannot be missing: all but sound, whose amount is told nowhere else."""
    return [
        index
        for index, (by_client, event) in enumerate(recording)
        if not by_client and event["type"] != "response.output_audio.delta"
    ]


def swappable(recording: Recording) -> list[tuple[int, int]]:
    """Return neighbours that stand in a fixed order."""
    told = [index for index, (by_client, _) in enumerate(recording) if not by_client]
    return [
        (one, other)
        for one, other in itertools.pairwise(told)
        if _ordered(recording[one][1], recording[other][1])
    ]


def _ordered(one: Event, other: Event) -> bool:
    streams = {event["type"].rpartition(".")[0] for event in (one, other)}
    if _of(one) is None or _of(one) != _of(other):
        return False
    if streams <= {"response.output_audio", "response.output_audio_transcript"}:
        # Sound and its text go side by side; two pieces of sound look alike.
        same = len(streams) == 1 and one["type"] != other["type"]
        return same or (one["type"] == other["type"] and one.get("delta") != other.get("delta"))
    return one["type"].split(".")[-1] != other["type"].split(".")[-1] or one != other


def _of(event: Event) -> str | None:
    """Return what an event's order is about: a response, or a turn of the caller."""
    if event["type"].startswith("response."):
        response = event.get("response") or {}
        return str(event.get("response_id") or response["id"])
    stream = event["type"].split(".")[0]
    return stream if stream in {"input_audio_buffer", "session"} else None


def changes(event: Event) -> list[tuple[str, Event]]:
    """Return the event with one thing wrong, in every way that can be told."""
    required = [
        name
        for name, info in server_models()[event["type"]].model_fields.items()
        if info.is_required()
    ]
    altered: dict[str, Event] = {
        **{f"without {name}": _without(event, name) for name in required},
        "unknown field": {**event, "mood": "fine"},
        "number for an id": {**event, "event_id": 7},
        "unknown type": {**event, "type": f"{event['type']}.x"},
    }
    for name in ("item_id", "response_id", "previous_item_id"):
        if isinstance(event.get(name), str):
            altered[name] = {**event, name: "item_x"}
    for name in ("output_index", "content_index"):
        if name in event:
            altered[name] = {**event, name: event[name] + 1}
    for name in ("text", "transcript", "arguments"):
        if name in event:
            altered[name] = {**event, name: f"{event[name]}x"}
    if event["type"] == "response.done":
        altered["usage"] = copy.deepcopy(event)
        altered["usage"]["response"]["usage"]["total_tokens"] += 1
        altered["status"] = copy.deepcopy(event)
        altered["status"]["response"]["status"] = "in_progress"
    return list(altered.items())


def _without(event: Event, name: str) -> Event:
    return {key: value for key, value in event.items() if key != name}


def unseen(flawed: Iterable[tuple[str, Recording]]) -> list[str]:
    """Return the flaws that the checker does not see."""
    missed = []
    for name, recording in flawed:
        with contextlib.suppress(Violation):
            replayed(recording)
            missed.append(name)
    return missed


def test_a_transcript_that_lacks_an_event_is_refused(recordings: list[Recording]) -> None:
    """Whatever the server leaves out is missed."""
    flawed = (
        (recording[index][1]["type"], recording[:index] + recording[index + 1 :])
        for recording in recordings
        for index in deletable(recording)
    )
    assert unseen(flawed) == []


def test_a_transcript_in_another_order_is_refused(recordings: list[Recording]) -> None:
    """Neighbours of one response, or of one turn, do not change places."""
    flawed = []
    for recording in recordings:
        for one, other in swappable(recording):
            swapped = list(recording)
            swapped[one], swapped[other] = recording[other], recording[one]
            flawed.append((f"{swapped[other][1]['type']}, {swapped[one][1]['type']}", swapped))
    assert len(flawed) > 50
    assert unseen(flawed) == []


def test_a_transcript_with_another_value_is_refused(recordings: list[Recording]) -> None:
    """Ids, indices, texts, sums, types and fields: none can be wrong unseen."""
    flawed = (
        (f"{event['type']}: {name}", [*recording[:index], (False, changed), *rest])
        for recording in recordings
        for index, (by_client, event) in enumerate(recording)
        if not by_client
        for rest in [recording[index + 1 :]]
        for name, changed in changes(event)
    )
    assert unseen(flawed) == []
