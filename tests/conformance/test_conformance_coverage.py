"""Nothing that the published client can send is unknown here: a newer client fails these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from livekit.agents.llm._realtime import openai as plugin
from openai.types.realtime import (
    ConversationItem,
    RealtimeResponseCreateParams,
    RealtimeSessionCreateRequest,
    RealtimeTranscriptionSessionCreateRequest,
    ResponseItemReference,
)
from pydantic import BaseModel

from local.realtime.protocol import ClientEvent
from local.realtime.server import Settings, serve
from tests.conformance.shape import Event, client_models, members
from tests.conformance.talk import TOOL, Service, Talk, text_item
from thirdring.settings import DEFAULT_MODEL

_DOCS = Path(__file__).parents[2] / "docs" / "local-model.md"

FORCED = {"tools": [TOOL], "tool_choice": {"type": "function", "name": TOOL["name"]}}
SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.6,
    "prefix_padding_ms": 200,
    "silence_duration_ms": 300,
    "create_response": False,
    "interrupt_response": False,
}
TRANSCRIPTION = {
    "model": "gpt-4o-transcribe",
    "language": "en",
    "languages": ["en"],
    "prompt": "names",
    "keywords": ["Riverside"],
    "delay": "low",
}
TRACING = {"workflow_name": "calls", "group_id": "g", "metadata": {"a": "b"}}
RETENTION = {
    "type": "retention_ratio",
    "retention_ratio": 0.5,
    "token_limits": {"post_instructions": 5000},
}

SESSIONS: list[Event] = [
    {"model": "some-model", "instructions": "Be brief.", "max_output_tokens": 7},
    {"max_output_tokens": "inf", "output_modalities": ["text"]},
    FORCED,
    {"tools": [{"type": "function", "name": "bare"}], "tool_choice": "required"},
    {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}},
    {"audio": {"input": {"format": {"type": "audio/pcma"}}}},
    {"audio": {"input": {"noise_reduction": {"type": "far_field", "strength": 0.5}}}},
    {"audio": {"input": {"transcription": TRANSCRIPTION}}},
    {"audio": {"input": {"turn_detection": SERVER_VAD}}},
    {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "low"}}}},
    {"audio": {"input": {"noise_reduction": None, "transcription": None, "turn_detection": None}}},
    {"audio": {"output": {"format": {"type": "audio/pcmu"}, "speed": 1.2, "voice": "cedar"}}},
    {"audio": {"output": {"voice": {"id": "voice_1"}, "format": {"rate": 24000}}}},
    {"tracing": "auto", "truncation": "disabled", "parallel_tool_calls": True},
    {"tracing": TRACING, "truncation": RETENTION, "reasoning": {"effort": "low"}},
    {"include": ["item.input_audio_transcription.logprobs"]},
]
"""What a session can be."""

MCP = {"type": "mcp", "server_label": "s", "server_url": "https://mcp.example"}
NO_SESSIONS: dict[str, Event] = {
    "session.prompt": {"prompt": {"id": "p"}},
    "session.tools.0.type": {"tools": [MCP]},
    "session.tools": {"tools": [MCP]},
    "session.tool_choice": {"tool_choice": {"type": "mcp", "server_label": "s"}},
    "session.audio.input.turn_detection.idle_timeout_ms": {
        "audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}}
    },
    "session.type": {"type": "transcription"},
}
"""What it cannot be, by the field that the refusal names."""

CALL = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"}
STAMPS = {"object": "realtime.item", "status": "completed"}
ITEMS: list[Event] = [
    {**text_item("Be brief.", "system"), **STAMPS, "id": "i1"},
    {**text_item("Hello?"), **STAMPS, "id": "i2"},
    {**text_item("Yes?", "assistant"), **STAMPS, "id": "i3"},
    {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "audio": "AAAA", "transcript": "Hello?"}],
    },
    {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_audio", "audio": "AAAA", "transcript": "Yes?"}],
    },
    {**CALL, **STAMPS, "id": "i4"},
    {"type": "function_call_output", "call_id": "c", "output": "o", **STAMPS, "id": "i5"},
    {"type": "function_call", "name": "f", "arguments": "{}"},
]
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
NO_ITEMS: dict[str, list[Event]] = {
    "content.0.type": [{"type": "message", "role": "user", "content": [IMAGE]}],
    "type": [
        {"type": "mcp_approval_response", "id": "m", "approval_request_id": "r", "approve": True},
        {
            "type": "mcp_approval_request",
            "id": "m",
            "arguments": "",
            "name": "f",
            "server_label": "s",
        },
        {"type": "mcp_list_tools", "server_label": "s", "tools": []},
        {**CALL, "type": "mcp_call", "id": "m", "server_label": "s"},
    ],
}

RESPONSES: list[Event] = [
    {"instructions": "Be brief.", "metadata": {"a": "b"}, "conversation": "none"},
    {"conversation": "auto", "max_output_tokens": 7, "output_modalities": ["text"], **FORCED},
    {"max_output_tokens": "inf", "tool_choice": "none", "parallel_tool_calls": False},
    {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "cedar"}}},
    {"audio": {"output": {"voice": {"id": "voice_1"}}}, "reasoning": {"effort": "low"}},
    {"input": ITEMS},
    {"input": []},
]
NO_RESPONSES: dict[str, Event] = {
    "response.prompt": {"prompt": {"id": "p"}},
    "response.tools.0.type": {"tools": [MCP]},
    "response.tool_choice": {"tool_choice": {"type": "function", "name": "unknown"}},
    "response.input.0.type": {"input": NO_ITEMS["type"][:1]},
    "response.input.1.id": {"input": [text_item("Hi"), {"type": "item_reference", "id": "none"}]},
    "response.audio.output.format": {"audio": {"output": {"format": {"type": "audio/opus"}}}},
    "response.audio.input": {"audio": {"input": {}}},
    "response.metadata": {"metadata": {str(number): "" for number in range(17)}},
}

QUIET = "AAAA" * 1600
EVENTS: dict[str, tuple[Event, str | None]] = {
    "session.update": ({"session": {"type": "realtime"}}, "session.updated"),
    "input_audio_buffer.append": ({"audio": QUIET}, None),
    "input_audio_buffer.commit": ({}, "input_audio_buffer.committed"),
    "input_audio_buffer.clear": ({}, "input_audio_buffer.cleared"),
    "output_audio_buffer.clear": ({}, "error"),
    "conversation.item.create": (
        {"item": text_item("Hi", id="i"), "previous_item_id": "root"},
        "conversation.item.added",
    ),
    "conversation.item.retrieve": ({"item_id": "i"}, "conversation.item.retrieved"),
    "conversation.item.delete": ({"item_id": "i"}, "conversation.item.deleted"),
    "response.create": ({"response": {"conversation": "none"}}, "response.created"),
    "response.cancel": ({"response_id": "none"}, "error"),
    "conversation.item.truncate": (
        {"item_id": "none", "content_index": 0, "audio_end_ms": 0},
        "error",
    ),
}
"""In this order: what is sent, and the type of what it is answered with."""

NO_EFFECT = ("model", "transcription", "noise_reduction", "voice", "tracing", "truncation",
             "reasoning", "include", "parallel_tool_calls")  # fmt: skip
"""Accepted and told again; the documentation says why each means nothing here."""


def paths(model: type[BaseModel], at: str = "") -> Iterator[str]:
    """Return every field of a model and of those within it; what MCP and prompts have is one."""
    for name, info in model.model_fields.items():
        yield (path := f"{at}{name}")
        if name != "prompt":
            for inner in _models(info.annotation):
                yield from paths(inner, f"{path}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    is_model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    if is_model and "mcp" not in annotation.__name__.lower():
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def used(document: Any, at: str = "") -> Iterator[str]:
    """Return the same for a document; what stands in a list has the list's path."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield (path := f"{at}{name}")
            yield from used(value, f"{path}.")
    elif isinstance(document, list):
        for value in document:
            yield from used(value, at)


def known(documents: Any, models: set[str]) -> set[str]:
    """Return the published fields that some of the documents use."""
    return {path for document in documents for path in used(document)} & models


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    """A session that loads no speech models."""
    settings = Settings(port=0, reflex=True, greeting_seconds=0.1)
    async with (
        serve(settings) as server,
        Service(DEFAULT_MODEL, "none", server.url).talk() as talk,
    ):
        yield talk


def test_every_client_event_is_known_with_all_its_fields() -> None:
    """The published events are ours, and each has the same fields."""
    ours = {get_args(m.model_fields["type"].annotation)[0]: m for m in get_args(ClientEvent)}
    assert set(ours) == set(client_models()) == set(EVENTS)
    for kind, model in client_models().items():
        assert set(ours[kind].model_fields) == set(model.model_fields), kind


def test_every_event_that_the_plugin_makes_is_known() -> None:
    """What LiveKit's client imports to send is among the published events."""
    imported = [one for one in vars(plugin).values() if isinstance(one, type)]
    sent = {kind for kind, model in client_models().items() if model in imported}
    assert len(sent) >= 8
    assert sent <= set(EVENTS)


async def test_every_client_event_is_answered(talk: Talk) -> None:
    """Each is done and told, or refused by an error with its id."""
    for kind, (fields, answer) in EVENTS.items():
        if answer == "error":
            error = await talk.refused({"type": kind, **fields})
            assert error["message"]
        else:
            event: Any = {"type": kind, **fields}
            await talk.connection.send(event)
            if answer is not None:
                await talk.until(answer)
            if kind == "response.create":
                await talk.done()


def test_every_session_field_is_accounted_for() -> None:
    """Each published field is one that is taken, or one whose refusal is tested."""
    published = set(paths(RealtimeSessionCreateRequest))
    published |= set(paths(RealtimeTranscriptionSessionCreateRequest))
    refused = {path.removeprefix("session.").replace(".0", "") for path in NO_SESSIONS}
    assert published - known([{"type": "realtime"}, *SESSIONS], published) <= refused


def test_every_response_field_is_accounted_for() -> None:
    """The same for what one response may have."""
    published = set(paths(RealtimeResponseCreateParams))
    refused = {path.removeprefix("response.").replace(".0", "") for path in NO_RESPONSES}
    images = {"input.content.image_url", "input.content.detail"}
    assert published - known(RESPONSES, published) - images <= refused


def test_every_kind_of_item_is_accounted_for() -> None:
    """Each published item is one that is taken, or one whose refusal is tested."""
    published: tuple[type[BaseModel], ...] = (*members(ConversationItem), ResponseItemReference)
    kinds = {get_args(model.model_fields["type"].annotation)[0] for model in published}
    refused = {item["type"] for item in NO_ITEMS["type"]}
    assert kinds - {item["type"] for item in ITEMS} - refused == {"item_reference"}


async def test_what_a_session_can_be_is_taken(talk: Talk) -> None:
    """Every value is told as it was set: the transcript compares both."""
    for session in SESSIONS:
        await talk.configure(**session)
        await talk.configure(tool_choice="auto")


async def test_what_a_session_cannot_be_is_named(talk: Talk) -> None:
    """The refusal names the field."""
    for param, session in NO_SESSIONS.items():
        asked = {"type": "session.update", "session": {"type": "realtime", **session}}
        assert (await talk.refused(asked))["param"].startswith(param)


async def test_what_a_response_can_be_is_taken(talk: Talk) -> None:
    """Each is created, and done."""
    await talk.configure(tools=[TOOL])
    for response in RESPONSES:
        assert (await talk.reply(**response))["status"] in {"completed", "incomplete"}


async def test_what_a_response_cannot_be_is_named(talk: Talk) -> None:
    """The refusal names the field; an item of the input by its place."""
    for param, response in NO_RESPONSES.items():
        error = await talk.refused({"type": "response.create", "response": response})
        assert error["param"].startswith(param)


async def test_items_are_taken_or_named(talk: Talk) -> None:
    """Every published kind of item is added, or refused by the field that says why."""
    for item in ITEMS:
        given: Any = item
        await talk.connection.conversation.item.create(item=given)
        await talk.until("conversation.item.done")
    for param, items in NO_ITEMS.items():
        for item in items:
            error = await talk.refused({"type": "conversation.item.create", "item": item})
            assert error["param"] == f"item.{param}"


def test_the_documentation_says_what_has_no_effect() -> None:
    """Whoever sets one of these finds it on the page of the local model."""
    page = _DOCS.read_text()
    assert [name for name in NO_EFFECT if f"`{name}`" not in page] == []
