"""What a caller hears while a tool takes its time, spoken by the real plugin's model."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from livekit.agents import AgentSession, RunContext, function_tool
from livekit.agents.voice.run_result import RunResult

from local.realtime.brain import Act, Call, Prompt, Say
from tests.peers.desk import Desk, at_desk
from thirdring.state import CallState
from thirdring.workflow import Workflow
from tools.guard import guarded

PATIENCE = "One moment, please."


@function_tool
@guarded
async def look_up(ctx: RunContext[CallState], what: str) -> str:
    """Look something up, until the test says that it is found.

    Args:
        what: Anything.
    """
    found: asyncio.Event = ctx.userdata.found  # type: ignore[attr-defined]  # set by the test
    await found.wait()
    return f"{what}: twelve"


DESK = Workflow(name="desk", greeting="Hello.", tools=(look_up,))
LOOK_UP = Call("look_up", '{"what": "price"}')

Opened = Callable[..., AbstractAsyncContextManager[Desk]]


class _Brain:
    """Asks for patience when told to, and takes the next step of a test otherwise."""

    def __init__(self, steps: Sequence[Sequence[Act]]) -> None:
        self._steps = deque(steps)

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        for act in [Say(PATIENCE)] if prompt.request else self._steps.popleft():
            yield act

    def foresee(self, _prompt: Prompt) -> str | None:
        return None


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return a call whose model does these steps, one after each turn and result."""

    @asynccontextmanager
    async def start(*steps: Sequence[Act]) -> AsyncIterator[Desk]:
        monkeypatch.setattr("tools.filler.FILLER_SECONDS", 0.05)
        told = "You look things up."
        async with at_desk(
            DESK, _Brain(steps), lambda _name: told, folder=tmp_path, monkeypatch=monkeypatch
        ) as (started, model):
            started.userdata.found = asyncio.Event()  # type: ignore[attr-defined]  # for the tool
            yield started, model

    return start


def words(result: RunResult[None]) -> list[str]:
    items = [event.item for event in result.events if event.type == "message"]
    return [item.text_content or "" for item in items]


async def until_said(started: AgentSession[CallState], text: str) -> None:
    """Wait for an answer of the agent."""
    said = asyncio.Event()

    @started.on("conversation_item_added")
    def note(event) -> None:  # type: ignore[no-untyped-def]  # any item
        if getattr(event.item, "text_content", None) == text:
            said.set()

    async with asyncio.timeout(20):
        await said.wait()


async def test_a_caller_who_waits_is_asked_for_patience(desk: Opened) -> None:
    """Once, by the voice that they talk to; then comes the answer."""
    async with desk([LOOK_UP], [Say("It is twelve.")]) as (started, model):
        run: RunResult[None] = started.run(user_input="What does it cost?")
        await until_said(started, PATIENCE)
        started.userdata.found.set()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            assert words(await run) == [PATIENCE, "It is twelve."]
        assert [p.tool_choice for p in model.prompts if p.request] == ["none"]


async def test_two_tools_ask_for_patience_once(desk: Opened) -> None:
    """Nobody hears two voices, or the same words twice."""
    async with desk([LOOK_UP, LOOK_UP], [Say("It is twelve.")]) as (started, _model):
        run: RunResult[None] = started.run(user_input="What does it cost?")
        await until_said(started, PATIENCE)
        started.userdata.found.set()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            assert words(await run) == [PATIENCE, "It is twelve."]


async def test_what_is_quick_needs_no_filler(desk: Opened) -> None:
    """Nobody is asked to wait for what is there."""
    async with desk([LOOK_UP], [Say("It is twelve.")]) as (started, model):
        started.userdata.found.set()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            assert words(await started.run(user_input="What does it cost?")) == ["It is twelve."]
        assert [p for p in model.prompts if p.request] == []


async def test_a_call_that_is_to_end_has_no_filler(
    desk: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the goodbye nothing more is said."""
    monkeypatch.setattr("tools.guard.TIME_LIMIT_SECONDS", 0.5)
    async with desk([LOOK_UP], [Say("Sorry.")]) as (started, model):
        started.userdata.end_requested.set()
        async with asyncio.timeout(20):
            await started.run(user_input="What does it cost?")
        assert [p for p in model.prompts if p.request] == []
