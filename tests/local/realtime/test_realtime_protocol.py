"""Client events, one by one, over a real WebSocket; `Client` checks the type of every answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
import pytest

from local.realtime.configuration import Configuration
from local.realtime.reflex import ReflexBrain, ReflexEars, ReflexScribe, ToneVoice
from local.realtime.server import RealtimeServer, Settings, serve
from local.realtime.session import Engine, RealtimeSession, SlowClient

if TYPE_CHECKING:
    from tests.local.realtime.conftest import Client, Connect

QUIET = base64.b64encode(bytes(9600)).decode()


async def until_sessions(server: RealtimeServer, count: int) -> None:
    """Ask for the health until so many sessions are told."""
    expected = {"status": "ok", "mode": "reflex", "sessions": count}
    async with asyncio.timeout(20), aiohttp.ClientSession() as http:
        told = None
        while told != expected:
            async with http.get(server.url.replace("/v1", "/healthz")) as response:
                told = await response.json()


async def test_configuration_is_merged_deeply(reflex: Client) -> None:
    """An absent key keeps its value, on every level; an explicit null turns turn taking off."""
    await reflex.configure(instructions="one", audio={"output": {"voice": "cedar"}})
    vad = {"type": "server_vad", "silence_duration_ms": 900}
    await reflex.configure(audio={"input": {"turn_detection": vad}})
    session = (await reflex.configure(audio={"input": {"turn_detection": {"threshold": 0.7}}}))[
        "session"
    ]
    assert session["instructions"] == "one"
    assert session["audio"]["output"]["voice"] == "cedar"
    assert session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 900
    assert session["audio"]["input"]["turn_detection"]["threshold"] == 0.7
    session = (await reflex.configure(audio={"input": {"turn_detection": None}}))["session"]
    assert session["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"type": "realtime", "colour": "red"}, "unknown_parameter", "session.colour"),
        ({"type": "realtime", "tools": 3}, "invalid_value", "session.tools"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/opus"}}}},
            "invalid_value",
            "session.audio.input.format",
        ),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
    ],
)
async def test_wrong_configuration_is_refused(
    reflex: Client, change: dict[str, object], code: str, param: str
) -> None:
    """What a session cannot be is an error that names the field, and changes nothing."""
    error = await reflex.refused("session.update", session=change)
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("input_audio_buffer.shout", {}, "invalid_value"),
        ("input_audio_buffer.append", {}, "missing_required_parameter"),
        ("input_audio_buffer.append", {"audio": "no base64!"}, "invalid_value"),
        ("input_audio_buffer.append", {"audio": "AAAA"}, "invalid_value"),
        ("input_audio_buffer.clear", {"loudly": True}, "unknown_parameter"),
        ("input_audio_buffer.commit", {}, "input_audio_buffer_commit_empty"),
        ("conversation.item.delete", {"item_id": "x"}, "item_delete_invalid_item_id"),
        ("conversation.item.retrieve", {"item_id": "x"}, "item_retrieve_invalid_item_id"),
        (
            "conversation.item.truncate",
            {"item_id": "x", "content_index": 0, "audio_end_ms": 5},
            "item_truncate_invalid_item_id",
        ),
        ("conversation.item.create", {"item": {"type": "picture"}}, "invalid_value"),
        (
            "conversation.item.create",
            {"item": {"type": "function_call_output", "call_id": "c", "output": ""}},
            "invalid_tool_call_id",
        ),
        ("response.cancel", {}, "response_cancel_not_active"),
        ("response.create", {"response": {"temperature": 1}}, "unknown_parameter"),
    ],
)
async def test_events_that_cannot_be_done_are_refused(
    reflex: Client, kind: str, fields: dict[str, object], code: str
) -> None:
    """Each is answered by an error with its event id, and the connection goes on."""
    error = await reflex.refused(kind, **fields)
    assert (error["code"], error["event_id"]) == (code, "mine")
    await reflex.send("input_audio_buffer.clear")
    assert (await reflex.receive())["type"] == "input_audio_buffer.cleared"


@pytest.mark.parametrize("frame", ["{", "[]", '"response.create"', "[" * 5000, '{"type": 7}'])
async def test_frames_that_are_no_events_are_refused(reflex: Client, frame: str) -> None:
    """Text that is no event is an error, not the end of the connection."""
    await reflex.socket.send_str(frame)
    assert (await reflex.receive())["error"]["code"] in {"invalid_json", "invalid_value"}


async def test_a_second_response_is_refused(reflex: Client) -> None:
    """While a reply runs another `response.create` gets the API's error code."""
    await reflex.send("response.create")
    await reflex.until("response.created")
    error = await reflex.refused("response.create")
    assert error["code"] == "conversation_already_has_active_response"


async def test_cancel_ends_the_running_response(reflex: Client) -> None:
    """It is done with status cancelled, its item incomplete, and another may begin."""
    await reflex.send("response.create", response={"metadata": {"client_event_id": "e1"}})
    created = await reflex.until("response.created")
    await reflex.until("response.output_audio.delta")
    await reflex.send("response.cancel", response_id=created["response"]["id"])
    response = (await reflex.until("response.done"))["response"]
    assert response["status"] == "cancelled"
    assert response["status_details"]["reason"] == "client_cancelled"
    assert response["output"][0]["status"] == "incomplete"
    assert response["metadata"] == {"client_event_id": "e1"}
    await reflex.send("response.create")
    await reflex.until("response.created")


async def test_items_stand_where_the_client_puts_them(reflex: Client) -> None:
    """`root` is the head (previous null), an id comes before, nothing is the end."""

    async def create(name: str, **where: str) -> str | None:
        content = [{"type": "input_text", "text": name}]
        item = {"id": name, "type": "message", "role": "user", "content": content}
        await reflex.send("conversation.item.create", item=item, **where)
        previous: str | None = (await reflex.until("conversation.item.added"))["previous_item_id"]
        return previous

    assert await create("b", previous_item_id="root") is None
    assert await create("d") == "b"
    assert await create("c", previous_item_id="b") == "b"
    assert await create("a", previous_item_id="root") is None
    await reflex.send("conversation.item.delete", item_id="c")
    await reflex.until("conversation.item.deleted")
    assert await create("c", previous_item_id="d") == "d"
    item = {"id": "a", "type": "message", "role": "user", "content": []}
    error = await reflex.refused("conversation.item.create", item=item)
    assert error["code"] == "item_create_duplicate_item_id"
    error = await reflex.refused(
        "conversation.item.create", item={**item, "id": "e"}, previous_item_id="nowhere"
    )
    assert error["code"] == "item_create_invalid_previous_item_id"


async def test_truncation_keeps_what_was_heard(reflex: Client) -> None:
    """An answer can be cut, its words with it; not to more than it has."""
    await reflex.send("response.create")
    item = (await reflex.until("response.done"))["response"]["output"][0]
    place = {"item_id": item["id"], "content_index": 0}
    error = await reflex.refused("conversation.item.truncate", **place, audio_end_ms=10_001)
    assert error["param"] == "audio_end_ms"
    await reflex.send("conversation.item.truncate", **place, audio_end_ms=10)
    assert (await reflex.until("conversation.item.truncated"))["audio_end_ms"] == 10
    await reflex.send("conversation.item.retrieve", item_id=item["id"])
    cut = (await reflex.until("conversation.item.retrieved"))["item"]
    assert (cut["content"][0]["transcript"], cut["status"]) == ("", "incomplete")


async def test_client_ends_the_turn_when_turn_detection_is_off(reflex: Client) -> None:
    """A commit makes the user's item and its transcript; no reply comes before it is asked for."""
    transcription = {"transcription": {"model": "any"}, "turn_detection": None}
    await reflex.configure(audio={"input": transcription})
    await reflex.send("input_audio_buffer.append", audio=QUIET)
    await reflex.send("input_audio_buffer.commit")
    committed = await reflex.until("input_audio_buffer.committed")
    done = await reflex.until("conversation.item.input_audio_transcription.completed")
    assert done["item_id"] == committed["item_id"]
    await reflex.send("response.create")
    await reflex.until("response.done")
    assert reflex.kinds().count("response.created") == 1


async def test_out_of_band_responses_stay_out_of_the_conversation(reflex: Client) -> None:
    """With conversation none nothing is added."""
    await reflex.send("response.create", response={"conversation": "none"})
    done = await reflex.until("response.done")
    assert done["response"]["conversation_id"] is None
    assert "conversation.item.added" not in reflex.kinds()


async def test_a_key_is_asked_for_when_one_is_set() -> None:
    """Without the right bearer token the handshake is answered 401, with it it is not."""
    settings = Settings(port=0, reflex=True, api_key="k1")
    async with serve(settings) as server, aiohttp.ClientSession() as http:
        for headers in ({}, {"Authorization": "Bearer k2"}):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(f"{server.url}/realtime", headers=headers)
            assert refused.value.status == 401
        right = {"Authorization": "Bearer k1"}
        async with http.ws_connect(f"{server.url}/realtime", headers=right) as socket:
            assert (await socket.receive_json())["type"] == "session.created"


async def test_a_client_that_does_not_read_is_dropped() -> None:
    """Its session ends instead of keeping events for ever."""
    never = asyncio.Event()

    async def stuck(text: str) -> None:
        await never.wait()

    async def frames() -> AsyncIterator[str]:
        while True:
            yield '{"type": "input_audio_buffer.clear"}'

    engine = Engine(ReflexEars, ReflexScribe(), ReflexBrain(), ToneVoice())
    with pytest.raises(SlowClient, match="left unread"):
        await RealtimeSession(engine, Configuration(), stuck).run(frames())


async def test_a_connection_that_breaks_while_we_write_ends_quietly() -> None:
    """The write fails before the reader knows; the session ends when the reader does."""
    broken = asyncio.Event()

    async def send(text: str) -> None:
        broken.set()
        raise ConnectionResetError

    async def frames() -> AsyncIterator[str]:
        await broken.wait()
        yield '{"type": "input_audio_buffer.clear"}'

    engine = Engine(ReflexEars, ReflexScribe(), ReflexBrain(), ToneVoice())
    async with asyncio.timeout(20):
        await RealtimeSession(engine, Configuration(), send).run(frames())


async def test_health_counts_sessions(reflex_server: RealtimeServer, connect: Connect) -> None:
    """`/healthz` tells the mode and how many are connected, and forgets those that left."""
    async with connect(reflex_server), connect(reflex_server):
        await until_sessions(reflex_server, 2)
    await until_sessions(reflex_server, 0)
