from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from livekit.agents import Agent, AgentSession
from livekit.agents.voice.run_result import RunResult
from pydantic import Field

from tests.peers.scripted_llm import Call, ScriptedLLM
from tests.samples import LINE, business, opened
from thirdring.outcome import Outcome, OutcomeSheet
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from tools.outcome import noting


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Order(Outcome):
    needed: ClassVar[tuple[str, ...]] = ("item", "colour")

    item: Annotated[str | None, Field(max_length=20, description="What is ordered.")] = None
    colour: Annotated[Colour | None, Field(description="As the caller says it.")] = None
    pieces: Annotated[int, Field(ge=0, le=10)] = 0


note_order = noting(Order, name="note_order", description="Note what the caller orders.")

Use = Callable[..., Any]


@pytest.fixture
def noted() -> list[Outcome]:
    return []


@pytest.fixture
async def use(tmp_path: Path, noted: list[Outcome]) -> AsyncIterator[Use]:
    """Let the model call the tool; what it hears, and whether as an error."""
    async with SqliteStore(tmp_path / "store.db") as store:
        sheet = OutcomeSheet(Order, noted.append)
        state = CallState(
            business=business(), line=LINE, leg=opened().leg, store=store, outcome=sheet
        )
        model = ScriptedLLM()
        session = AgentSession(llm=model, userdata=state)

        async def call(**arguments: object) -> tuple[str, bool]:
            model.script.append(Call("note_order", arguments))
            async with asyncio.timeout(20):
                result: RunResult[object] = await session.run(user_input="...")
            (output,) = [e.item for e in result.events if e.type == "function_call_output"]
            return output.output, output.is_error

        async with session:
            await session.start(Agent(instructions="", tools=[note_order]))
            yield call


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
        ({"price": "12"}, "There is no 'price' to note, only item, colour, pieces."),
        ({"x" * 100_000: "1"}, "There is no 'xxx"),
        ({"colour": "green"}, "colour: Input should be 'red' or 'blue'"),
        ({"pieces": -1}, "pieces: Input should be greater than or equal to 0"),
        ({"pieces": "many"}, "pieces: Input should be a valid integer"),
        ({"item": "y" * 100_000}, "item: String should have at most 20 characters"),
        ({"item": ["a lamp"]}, "item: Input should be a valid string"),
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
