from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livekit.agents import Agent, AgentSession, RunContext, function_tool
from livekit.agents.voice.run_result import RunResult

from tests.peers.scripted_llm import Call, ScriptedLLM
from tests.samples import LINE, business, opened
from thirdring.errors import ToolRefused
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from tools.guard import LONGEST_RESULT, guarded


@function_tool
@guarded
async def misbehave(ctx: RunContext[CallState], how: str) -> str:
    """Go wrong in one of the ways that a tool can.

    Args:
        how: Which way.
    """
    match how:
        case "refuse":
            raise ToolRefused("Not on Sundays.")
        case "raise":
            raise KeyError("a secret path")
        case "hang":
            await asyncio.sleep(3600)
        case "babble":
            return "ä" * LONGEST_RESULT
    return "fine"


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[AgentSession[CallState]]:
    async with SqliteStore(tmp_path / "store.db") as store:
        state = CallState(business=business(), line=LINE, leg=opened().leg, store=store)
        started = AgentSession(llm=ScriptedLLM(), userdata=state)
        async with started:
            await started.start(Agent(instructions="", tools=[misbehave]))
            yield started


async def heard(session: AgentSession[CallState], how: str) -> tuple[str, bool]:
    """Return what the model heard, and whether as an error."""
    model = session.llm
    assert isinstance(model, ScriptedLLM)
    model.script.append(Call("misbehave", {"how": how}))
    async with asyncio.timeout(20):
        result: RunResult[object] = await session.run(user_input="...")
    (output,) = [event.item for event in result.events if event.type == "function_call_output"]
    return output.output, output.is_error


async def test_a_result_passes(session: AgentSession[CallState]) -> None:
    """A tool that works is not touched."""
    assert await heard(session, "work") == ("fine", False)


async def test_a_refusal_is_heard_in_its_own_words(session: AgentSession[CallState]) -> None:
    """The model can act on the reason."""
    assert await heard(session, "refuse") == ("Not on Sundays.", True)


async def test_an_unexpected_error_is_not_told(
    session: AgentSession[CallState], caplog: pytest.LogCaptureFixture
) -> None:
    """What went wrong is for the log, not for the caller."""
    output, is_error = await heard(session, "raise")
    assert (is_error, "secret" in output) == (True, False)
    assert "a secret path" in caplog.text


async def test_a_tool_that_hangs_is_stopped(
    session: AgentSession[CallState], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller does not wait for ever."""
    monkeypatch.setattr("tools.guard.TIME_LIMIT_SECONDS", 0.05)
    assert await heard(session, "hang") == ("That is taking too long right now.", True)


async def test_a_long_result_is_cut(session: AgentSession[CallState]) -> None:
    """At most 8 KiB, whole characters only, and the model knows."""
    output, is_error = await heard(session, "babble")
    assert not is_error
    assert len(output.encode()) <= LONGEST_RESULT
    assert output.endswith("ää [cut: the result was too long]")
