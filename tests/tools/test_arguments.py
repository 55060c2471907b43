from __future__ import annotations

import json
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from livekit.agents import RunContext
from pydantic import Field

from thirdring.errors import ToolRefused
from thirdring.raw_tools import unrepaired
from thirdring.state import CallState
from tools.arguments import LONGEST_TEXT, arguments_for


async def book(  # noqa: PLR0917 - one of each type
    ctx: RunContext[CallState],
    day: date,
    kind: Literal["visit", "call"],
    party: Annotated[int, Field(ge=1, le=8)] = 2,
    price: float = 0.5,
    urgent: bool = False,
    note: str = "",
    names: tuple[str, ...] = (),
) -> str:
    """Book."""
    return ""


async def free(ctx: RunContext[CallState], raw_arguments: dict[str, object]) -> str:
    """Do what a schema of its own says."""
    return ""


GOOD = {"day": "2026-11-24", "kind": "visit"}


def read(**changes: Any) -> dict[str, Any]:
    return arguments_for(book, json.dumps(GOOD | changes))


def test_arguments_are_of_the_types_of_the_signature() -> None:
    """What was left out has its default; null is the same as leaving it out."""
    expected = {
        "day": date(2026, 11, 24),
        "kind": "visit",
        "party": 3,
        "price": 0.5,
        "urgent": False,
        "note": "",
        "names": ("Ada", "Bob"),
    }
    assert read(party=3, note=None, names=["Ada", "Bob"]) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ('"x"', "not a JSON object"),
        ("DROP TABLE appointments", "not a JSON object"),
        ("{" * 5000, "not a JSON object"),
        ('{"a": "\\ud800"}', "not a JSON object"),
        (json.dumps({"note": "x" * 20_000}), "too long"),
        ('{"day": ' + "[" * 12 + "]" * 12 + "}", "nested too deeply"),
        ("{}", "day is missing."),
        ('{"day": "2026-11-24", "kind": null}', "kind: Input should be 'visit' or 'call'."),
    ],
)
def test_what_is_no_call_of_the_tool_is_refused(text: str, reason: str) -> None:
    """In a short sentence, without what was sent."""
    with pytest.raises(ToolRefused) as refused:
        arguments_for(book, unrepaired(text))
    assert reason in str(refused.value)
    assert len(str(refused.value)) <= 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"who": "x"}, "There is no argument who, only: day, kind,"),
        ({"a" * 5000: 1}, "aaaa is too long"),
        ({"\x00": 1}, "? holds characters"),
        ({"day": "tomorrow"}, "day: Input should be a valid date"),
        ({"day": 5}, "day: "),
        ({"kind": "VISIT"}, "kind: Input should be 'visit' or 'call'."),
        ({"party": "3"}, "party: Input should be a valid integer."),
        ({"party": 2.5}, "party: "),
        ({"party": 0}, "party: Input should be greater than or equal to 1."),
        ({"party": -1}, "party: "),
        ({"party": 10**30}, "party is too large."),
        ({"party": True}, "party: "),
        ({"price": float("inf")}, "price is not a finite number."),
        ({"price": float("nan")}, "price is not a finite number."),
        ({"urgent": "yes"}, "urgent: "),
        ({"urgent": 1}, "urgent: "),
        ({"note": 5}, "note: Input should be a valid string."),
        ({"note": {"x": 1}}, "note: "),
        ({"note": "x" * (LONGEST_TEXT + 1)}, "note is too long: at most 2000 characters."),
        ({"note": "a\x00b"}, "note holds characters that nobody says."),
        ({"note": "\N{RIGHT-TO-LEFT OVERRIDE}evil"}, "note holds characters"),
        ({"note": "\x1b[2J"}, "note holds characters"),
        ({"names": "Ada"}, "names: "),
        ({"names": ["\x00"]}, "names[0] holds characters"),
    ],
)
def test_each_wrong_argument_is_named(change: dict[str, Any], reason: str) -> None:
    """No coercion, nothing dropped, nothing that cannot have been said."""
    with pytest.raises(ToolRefused) as refused:
        read(**change)
    assert reason in str(refused.value)
    assert len(str(refused.value)) <= 200


def test_infinity_may_come_in_digits() -> None:
    """JSON's 1e400 is no number that a computer has."""
    with pytest.raises(ToolRefused, match="not a finite number"):
        arguments_for(book, '{"day": "2026-11-24", "kind": "visit", "price": 1e400}')


@pytest.mark.parametrize(
    "note", ["José", "日本語\u3000", "a\nb", "می\N{ZERO WIDTH NON-JOINER}خواهم", "👍"]
)
def test_every_language_can_be_said(note: str) -> None:
    """Letters, spaces and joiners of any script."""
    assert read(note=note)["note"] == note


def test_a_tool_with_a_schema_of_its_own_hears_all() -> None:
    """What its arguments mean is its own affair; what nobody says is not."""
    assert arguments_for(free, '{"x": [1, "y"]}') == {"raw_arguments": {"x": [1, "y"]}}
    with pytest.raises(ToolRefused, match="x\\[0\\] holds"):
        arguments_for(free, '{"x": ["\\u0000"]}')
