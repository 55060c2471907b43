"""Agents of one call: the caller is handed over, on the same connection, with what was said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from livekit.agents import AgentSession, function_tool
from livekit.agents.voice.run_result import RunResult

from local.realtime.brain import Act, Call, Say
from tests.peers.acting_brain import ActingBrain
from tests.peers.desk import Desk, at_desk
from tests.samples import LINE
from thirdring.agents import HANDOVERS, first_agent
from thirdring.session import PhoneAgent
from thirdring.settings import Line
from thirdring.state import CallState
from thirdring.workflow import AgentPart, Workflow

TO_BILLS = Call("hand_over_to_bills", "{}")
TO_MAIN = Call("hand_over_to_main", "{}")


@function_tool
async def look_up_bill() -> str:
    """Look up a bill."""
    return "Twelve dollars."


@function_tool
async def opening_hours() -> str:
    """Get the opening hours."""
    return "Nine to five."


DESK = Workflow(
    name="desk",
    greeting="Hello.",
    tools=(opening_hours,),
    hands_over_to=("bills",),
    agents=(
        AgentPart(
            name="bills",
            when="when the caller asks about a bill.",
            tools=(look_up_bill,),
            hands_over_to=("main",),
            opening='Say exactly this, word for word: "Bills here."',
        ),
        AgentPart(name="caller", when="never", on_its_own_call=True),
    ),
)

Opened = Callable[..., AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return a call at the desk, with a model that does what it is told to."""

    def start(*acts: Act, line: Line = LINE) -> AbstractAsyncContextManager[Desk]:
        return at_desk(
            DESK,
            ActingBrain(*acts),
            lambda name: f"You are {name}.",
            folder=tmp_path,
            monkeypatch=monkeypatch,
            line=line,
        )

    return start


async def said(session: AgentSession[CallState], words: str) -> list[str]:
    """Return what the agents answer."""
    async with asyncio.timeout(20):
        result: RunResult[None] = await session.run(user_input=words)
    items = [event.item for event in result.events if hasattr(event, "item")]
    return [item.text_content or "" for item in items if item.type == "message"]


async def test_the_next_agent_has_its_own_instructions_and_tools(desk: Opened) -> None:
    """After the tool call the model is told what the next agent is told, and speaks first."""
    async with desk(TO_BILLS, Say("Bills here.")) as (started, model):
        assert (await said(started, "What do I owe?"))[-1] == "Bills here."
        prompt = model.prompts[-1]
        assert prompt.instructions == "You are bills."
        assert {tool.name for tool in prompt.tools} == {"look_up_bill", "hand_over_to_main"}
        assert prompt.request is not None
        assert "Bills here." in prompt.request


async def test_what_was_said_goes_along(desk: Opened) -> None:
    """The next agent's model sees the words that the caller spoke to the one before."""
    async with desk(TO_BILLS) as (started, model):
        await said(started, "What do I owe?")
        words = [item.text for item in model.prompts[-1].items if item.role == "user"]
        assert words == ["What do I owe?"]


async def test_the_connection_stays(desk: Opened) -> None:
    """Both agents speak through one connection to the model, and through one gate."""
    async with desk(TO_BILLS) as (started, _model):
        before = started.current_agent
        assert isinstance(before, PhoneAgent)
        connection = before.realtime_llm_session
        await said(started, "What do I owe?")
        after = started.current_agent
        assert isinstance(after, PhoneAgent)
        assert after.id == "bills"
        assert after.realtime_llm_session is connection
        assert after.answered is before.answered


async def test_there_is_a_way_back(desk: Opened) -> None:
    """An agent that names `main` hands over to the first, who waits for words."""
    async with desk(TO_BILLS, Say("Bills here."), TO_MAIN, Say("Nine to five.")) as (started, _):
        await said(started, "What do I owe?")
        await said(started, "And when are you open?")
        assert started.current_agent.id == "main"
        assert await said(started, "Well?") == ["Nine to five."]


async def test_handing_over_comes_to_an_end(desk: Opened) -> None:
    """A model that hands over for ever is told to stop: the caller stays where they are."""
    to_and_fro: list[Act] = []
    for number in range(HANDOVERS):
        to_and_fro += [TO_MAIN] if number % 2 else [TO_BILLS, Say("Bills here.")]
    async with desk(*to_and_fro, TO_BILLS, Say("Then I will help.")) as (started, model):
        for _ in range(HANDOVERS):
            await said(started, "Again.")
        assert (await said(started, "Again."))[-1] == "Then I will help."
        assert started.current_agent.id == "main"
        assert "enough handing over" in model.prompts[-1].items[-1].text


async def test_a_line_may_offer_fewer_tools_of_any_agent(desk: Opened) -> None:
    """The list of a line counts for every agent; handing over stays possible."""
    line = LINE.model_copy(update={"tools": ("opening_hours",)})
    async with desk(TO_BILLS, line=line) as (started, model):
        await said(started, "What do I owe?")
        assert {tool.name for tool in model.prompts[0].tools} == {
            "opening_hours",
            "hand_over_to_bills",
        }
        assert {tool.name for tool in model.prompts[-1].tools} == {"hand_over_to_main"}


def test_an_agent_with_a_call_of_its_own_is_handed_nobody() -> None:
    """It can be the first agent, but no tool leads to it."""
    workflow = DESK.model_copy(update={"hands_over_to": ("bills", "caller")})
    tools = first_agent(LINE, workflow, str).tools
    assert [tool.info.name for tool in tools if hasattr(tool, "info")] == [
        "opening_hours",
        "hand_over_to_bills",
    ]
    assert first_agent(LINE, workflow, str, name="caller").instructions == "caller"
