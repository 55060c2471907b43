from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from livekit.agents import Agent, AgentSession, RunContext, function_tool
from livekit.agents.llm import Tool
from livekit.agents.llm.utils import build_legacy_openai_schema
from livekit.agents.voice.run_result import RunResult
from pydantic import Field, JsonValue

from tests.peers.scripted_llm import Call, ScriptedLLM
from tests.samples import LINE, business, opened
from thirdring.outcome import Outcome, OutcomeSheet
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from tools.guard import guarded
from tools.outcome import filling, noting


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Order(Outcome):
    needed: ClassVar[tuple[str, ...]] = ("item", "colour")

    item: Annotated[str | None, Field(max_length=20, description="What is ordered.")] = None
    colour: Annotated[Colour | None, Field(description="As the caller says it.")] = None
    pieces: Annotated[int, Field(ge=0, le=10)] = 0


note_order = noting(Order, name="note_order", description="Note what the caller orders.")

Use = Callable[..., Awaitable[tuple[str, bool]]]
Ask = Callable[..., Awaitable[tuple[str, bool]]]


@pytest.fixture
def noted() -> list[Outcome]:
    return []


@pytest.fixture
async def call(tmp_path: Path, noted: list[Outcome]) -> AsyncIterator[Ask]:
    """Let the model call a tool; what it hears, and whether as an error."""
    async with SqliteStore(tmp_path / "store.db") as store, AsyncExitStack() as sessions:
        sheet = OutcomeSheet(Order, noted.append)
        state = CallState(
            business=business(), line=LINE, leg=opened().leg, store=store, outcome=sheet
        )

        async def called(tool: Tool, **arguments: object) -> tuple[str, bool]:
            model = ScriptedLLM()
            session = await sessions.enter_async_context(AgentSession(llm=model, userdata=state))
            await session.start(Agent(instructions="", tools=[tool]))
            model.script.append(Call(tool.id, arguments))
            async with asyncio.timeout(20):
                result: RunResult[object] = await session.run(user_input="...")
            (output,) = [e.item for e in result.events if e.type == "function_call_output"]
            return output.output, output.is_error

        yield called


@pytest.fixture
def use(call: Ask) -> Use:
    """Let the model note an order."""

    async def used(**arguments: object) -> tuple[str, bool]:
        return await call(note_order, **arguments)

    return used


def test_the_model_reads_a_property_for_each_field() -> None:
    """Type, bounds and description are those of the outcome; nothing else is taken."""
    schema = note_order.info.raw_schema
    assert schema["name"] == "note_order"
    assert schema["parameters"]["additionalProperties"] is False
    assert schema["parameters"]["properties"]["item"] == {
        "type": "string",
        "maxLength": 20,
        "description": "What is ordered.",
    }
    assert schema["parameters"]["properties"]["pieces"]["maximum"] == 10


def test_what_a_choice_may_be_stands_in_the_schema() -> None:
    """An enumeration is defined once and referred to."""
    parameters = note_order.info.raw_schema["parameters"]
    assert parameters["$defs"]["Colour"]["enum"] == ["red", "blue"]
    assert parameters["properties"]["colour"]["$ref"] == "#/$defs/Colour"


async def test_the_result_says_what_is_known_and_what_is_missing(use: Use) -> None:
    """Nothing needs to be asked twice."""
    await use(item="a lamp")
    text, _ = await use(pieces=2)
    expected = {"known": {"item": "a lamp", "pieces": 2}, "missing": ["colour"]}
    assert json.loads(text) == expected


async def test_what_was_not_said_changes_nothing(use: Use, noted: list[Outcome]) -> None:
    """A model that fills in `null` for the rest forgets nothing by it."""
    await use(item="a lamp", colour="red")
    await use(item=None, colour="blue")
    assert noted[-1] == Order(item="a lamp", colour=Colour.BLUE)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"price": "12"}, "There is no argument price, only: item, colour, pieces."),
        ({"x" * 1_000: "1"}, "There is no argument xxx"),
        ({"colour": "green"}, "colour: Input should be 'red' or 'blue'"),
        ({"pieces": -1}, "pieces: Input should be greater than or equal to 0"),
        ({"pieces": "many"}, "pieces must be of type integer."),
        ({"item": "y" * 1_000}, "item: String should have at most 20 characters"),
        ({"item": ["a lamp"]}, "item must be of type string."),
        ({}, "Nothing was given to note."),
    ],
)
async def test_what_does_not_fit_is_refused(
    use: Use, noted: list[Outcome], arguments: dict[str, object], why: str
) -> None:
    """The model hears why in a short sentence; nothing is noted."""
    text, refused = await use(**arguments)
    assert (refused, noted) == (True, [])
    assert text.startswith(why)
    assert len(text) < 200


@function_tool
@guarded
async def price(ctx: RunContext[CallState], item: str) -> str:
    """Say what something costs.

    Args:
        item: What it is.
    """
    return json.dumps({"pieces": len(item)}) if item != "nothing" else "Out of stock."


def counted(before: Order, told: Any) -> dict[str, Any]:
    if isinstance(told, str):
        return {"item": told}
    return {"pieces": before.pieces + told["pieces"]}


@pytest.mark.parametrize(
    ("item", "expected"),
    [("lamp", Order(pieces=4)), ("nothing", Order(item="Out of stock."))],
)
async def test_a_result_is_noted_without_the_model(
    call: Ask, noted: list[Outcome], item: str, expected: Order
) -> None:
    """What code found out is noted by code; a text as it is, JSON as what it says."""
    tool = filling(price, Order, counted)
    text, _ = await call(tool, item=item)
    assert text == ('{"pieces": 4}' if item == "lamp" else "Out of stock.")
    assert noted == [expected]


async def test_a_refusal_is_not_noted(call: Ask, noted: list[Outcome]) -> None:
    """Nothing came of it."""
    _, refused = await call(filling(price, Order, counted), item=7)
    assert (refused, noted) == (True, [])


def test_a_tool_that_fills_is_offered_as_it_was() -> None:
    """Name, description and arguments are those of the tool."""
    tool = filling(price, Order, counted)
    assert build_legacy_openai_schema(tool) == build_legacy_openai_schema(price)


async def test_what_code_fills_in_is_not_for_the_model(call: Ask, noted: list[Outcome]) -> None:
    """It is neither offered nor taken."""
    tool = noting(Order, name="note", description="Note it.", own=("pieces",))
    assert list(tool.info.raw_schema["parameters"]["properties"]) == ["item", "colour"]
    assert await call(tool, pieces=2) == (
        "There is no argument pieces, only: item, colour.",
        True,
    )
    assert noted == []


async def test_what_is_noted_may_be_amended_and_followed(call: Ask, noted: list[Outcome]) -> None:
    """A rule adds what the model left out; then somebody is told."""
    told: list[Order] = []

    async def tell(_state: CallState, order: Order) -> dict[str, JsonValue]:
        told.append(order)
        return {"staff": "told"}

    tool = noting(
        Order,
        name="note",
        description="Note it.",
        amend=lambda _state, given: {**given, "pieces": 1},
        after=tell,
    )
    text, _ = await call(tool, item="a lamp")
    assert json.loads(text)["staff"] == "told"
    assert noted == told == [Order(item="a lamp", pieces=1)]
