from __future__ import annotations

import json

import pytest
from livekit.agents import RunContext, function_tool
from livekit.agents.llm import RawFunctionTool
from livekit.agents.llm.utils import build_legacy_openai_schema

from thirdring.raw_tools import NO_JSON, as_raw, unrepaired
from thirdring.state import CallState
from tools.guard import guarded


@function_tool
@guarded
async def add(ctx: RunContext[CallState], first: int, second: int = 2) -> str:
    """Add numbers.

    Args:
        first: The first of them.
    """
    return str(first + second)


@function_tool
async def unguarded(first: int) -> str:
    """Do nothing."""
    return ""


def test_a_guarded_tool_is_raw_to_livekit() -> None:
    """The model sees the schema that LiveKit would make, and that nothing else is taken."""
    raw = as_raw(add)
    assert isinstance(raw, RawFunctionTool)
    expected = build_legacy_openai_schema(add, internally_tagged=True)
    expected["parameters"]["additionalProperties"] = False
    assert raw.info.raw_schema | {"type": "function"} == expected


def test_other_tools_stay_as_they_are() -> None:
    """Nothing else would check their arguments; a raw tool is raw already."""
    assert as_raw(unguarded) is unguarded
    raw = as_raw(add)
    assert as_raw(raw) is raw


@pytest.mark.parametrize(
    "text", ["{", "x", "{'a': 1}", '{"a": 1', "{" * 100_000, "[]", "7", '"{}"']
)
def test_what_is_no_object_is_not_guessed_at(text: str) -> None:
    """It is kept as it came, as far as it fits."""
    assert json.loads(unrepaired(text)) == {NO_JSON: text[:200]}


@pytest.mark.parametrize("text", ["", "{}", "null", '{"a": 1}', '{"a": 1e400}'])
def test_an_object_stays_as_it_is(text: str) -> None:
    """Whatever it says is judged elsewhere."""
    assert unrepaired(text) == text
