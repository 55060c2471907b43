"""Nothing that the published client can send is unknown here: a newer client fails these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

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
from tests.conformance.samples import (
    EVENTS,
    ITEMS,
    NO_ITEMS,
    NO_RESPONSES,
    NO_SESSIONS,
    RESPONSES,
    SESSIONS,
)
from tests.conformance.shape import client_models, members
from tests.conformance.talk import TOOL, Talk

_DOCS = Path(__file__).parents[2] / "docs" / "local-model.md"

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
            about_what_there_is = error["code"].endswith(("_not_active", "_invalid_item_id"))
            assert about_what_there_is or kind in error["message"]
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
