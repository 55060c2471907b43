from __future__ import annotations

from typing import Any

import pytest

from thirdring.errors import ToolRefused
from tools.schemas import must_fit

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "state": {"type": "string", "enum": ["open", "closed"]},
        "count": {"type": "integer"},
        "price": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "parts": {"type": "array", "items": {"type": "string"}},
        "urgent": {"type": "boolean"},
        "place": {"$ref": "#/$defs/Place"},
    },
    "required": ["order"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"state": "lost", "count": 3, "price": 2, "parts": [], "urgent": True},
        {"price": 2.5, "count": None, "state": None},
        {"place": {"anything": 1}},
    ],
)
def test_what_fits_passes(more: dict[str, Any]) -> None:
    """Null stands for what may be left out; choices are the tool's own."""
    must_fit({"order": "A-1", **more}, SCHEMA)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "order is missing."),
        ({"order": None}, "order must be of type string."),
        ({"order": 5}, "order must be of type string."),
        ({"order": "A", "count": "3"}, "count must be of type integer."),
        ({"order": "A", "count": True}, "count must be of type integer."),
        ({"order": "A", "count": 1.5}, "count must be of type integer."),
        ({"order": "A", "price": "2"}, "price must be of type number or null."),
        ({"order": "A", "parts": "x"}, "parts must be of type array."),
        ({"order": "A", "urgent": 1}, "urgent must be of type boolean."),
        ({"order": "A", "who\x00": 1}, "There is no argument who?, only: order, state, count,"),
    ],
)
def test_what_does_not_is_refused(arguments: dict[str, Any], reason: str) -> None:
    """Names and types; nothing is made to fit."""
    with pytest.raises(ToolRefused) as refused:
        must_fit(arguments, SCHEMA)
    assert str(refused.value).startswith(reason)


def test_an_open_schema_takes_more() -> None:
    """Unknown names are refused only where a schema says so."""
    must_fit({"anything": 1}, {"properties": {}})
