"""Values of the wrong type, in every field that a client can send."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.samples import EVENTS, ITEMS, RESPONSES, SESSIONS
from tests.conformance.shape import Event
from tests.conformance.talk import TOOL, Talk

WRONG: tuple[Any, ...] = (-1.5, True, "\U0001f600 x", "", [], {"x": 1}, 10**40)
SAMPLES = {
    "session.update": [{"session": {"type": "realtime", **one}} for one in SESSIONS],
    "conversation.item.create": [{"item": one} for one in ITEMS],
    # Its input is made of the same items as the conversation: two show where they stand.
    "response.create": [
        {"response": {**one, **({"input": ITEMS[1:3]} if one.get("input") else {})}}
        for one in RESPONSES
    ],
}


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return where every value of a document stands."""
    inner: Any = ()
    if isinstance(document, dict):
        inner = document.items()
    elif isinstance(document, list):
        inner = enumerate(document)
    for key, value in inner:
        yield (*at, key)
        yield from places(value, (*at, key))


def replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """Return a document with another value in one place."""
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def mistakes(kind: str) -> list[tuple[str, Event]]:
    """Return where each value is, and the event with it."""
    return [
        (".".join(map(str, place)), {"type": kind, **replaced(document, place, value)})
        for document in [EVENTS[kind][0], *SAMPLES.get(kind, [])]
        for place in places(document)
        for value in WRONG
    ]


STATE = {
    "item_create_duplicate_item_id",
    "item_retrieve_invalid_item_id",
    "item_delete_invalid_item_id",
    "item_truncate_invalid_item_id",
    "invalid_tool_call_id",
    "response_cancel_not_active",
    "input_audio_buffer_commit_empty",
}
"""Refusals that are not about the value, but about what there is."""


@pytest.mark.parametrize("kind", [kind for kind, (fields, _) in EVENTS.items() if fields])
async def test_a_wrong_value_is_named_or_taken(talk: Talk, kind: str) -> None:
    """Whatever is refused is refused by its field, nothing is an inner fault, the line stays."""
    # In text, for sound takes its time and is another matter.
    await talk.configure(tools=[TOOL], output_modalities=["text"])
    for place, event in mistakes(kind):
        name = f"wrong_{len(talk.transcript.events)}"
        named: Any = {**event, "event_id": name}
        await talk.connection.send(named)
        if EVENTS[kind][1] is None:
            await talk.connection.input_audio_buffer.clear()
        answer = await talk.until("error", EVENTS[kind][1] or "input_audio_buffer.cleared")
        if answer["type"] == "error":
            error = answer["error"]
            assert (error["type"], error["event_id"]) == ("invalid_request_error", name), place
            assert error["code"] in STATE or related(error["param"] or "", place), (place, error)
            if EVENTS[kind][1] is None:
                await talk.until("input_audio_buffer.cleared")
        elif kind == "response.create":
            await talk.done()


def related(param: str, place: str) -> bool:
    """Tell whether an error names the place, what it is in, what is in it, or what needs it."""
    if param == "response.tool_choice" and place.startswith("response.tools"):
        return True
    return bool(param) and (place.startswith(param) or param.startswith(place))
