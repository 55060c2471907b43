"""What those who watch a call are shown: every use of a tool, within bounds."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, RunContext, function_tool

from tests.peers.scripted_llm import Call, ScriptedLLM
from tests.samples import LINE, business, opened
from thirdring.errors import ToolRefused
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from thirdring.watching import Happening, HasEnded, Packets, ToolRun, Wait, packet, watch_tools
from tools.guard import guarded

LONGEST = 15 * 1024


@function_tool
@guarded
async def answers(ctx: RunContext[CallState], day: str) -> str:
    """Answer with a day."""
    del ctx
    return f"It is {day}."


@function_tool
@guarded
async def refuses(ctx: RunContext[CallState]) -> str:
    """Refuse by a rule."""
    raise ToolRefused(f"No, {ctx.function_call.name} says.")


@function_tool
@guarded
async def fails(ctx: RunContext[CallState]) -> str:
    """Fail for a reason that is nobody's business."""
    raise ConnectionError(f"secret of {ctx.function_call.name}")


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[AgentSession[CallState]]:
    """Return a session with those tools."""
    async with SqliteStore(tmp_path / "store.db") as store:
        state = CallState(business=business(), line=LINE, leg=opened().leg, store=store)
        started = AgentSession(llm=ScriptedLLM(), userdata=state)
        async with started:
            await started.start(Agent(instructions="", tools=[answers, refuses, fails]))
            yield started


@pytest.mark.parametrize(
    ("call", "states", "result"),
    [
        (Call("answers", {"day": "Monday"}), ["started", "done"], "It is Monday."),
        (Call("refuses", {}), ["started", "refused"], "No, refuses says."),
        (Call("fails", {}), ["started", "failed"], "That does not work right now."),
        (Call("invented", {"x": 1}), ["failed"], "invented"),
        (Call("answers", "not json"), ["failed"], ""),
    ],
    ids=lambda value: value.name if isinstance(value, Call) else "",
)
async def test_each_use_of_a_tool_is_shown_as_it_ends(
    session: AgentSession[CallState], call: Call, states: list[str], result: str
) -> None:
    """Once when it starts, once with what the model heard; what never started has failed."""
    shown: list[Happening] = []
    watch_tools(session, shown.append)
    assert isinstance(session.llm, ScriptedLLM)
    session.llm.script.append(call)
    async with asyncio.timeout(20):
        await session.run(user_input="...")
    runs = [each for each in shown if isinstance(each, ToolRun)]
    assert [run.state for run in runs] == states
    assert {(run.name, json.dumps(run.arguments)) for run in runs} == {
        (call.name, json.dumps(call.arguments))
    }
    assert result in (runs[-1].result or "")
    assert "secret" not in (runs[-1].result or "")
    assert runs[-1].seconds is not None


def test_a_packet_says_only_what_there_is() -> None:
    """Nothing stands for nothing, but an ending has its detail, null or not."""
    assert json.loads(packet(Wait(kind="reply", milliseconds=870))) == {
        "type": "latency",
        "kind": "reply",
        "milliseconds": 870,
    }
    started = ToolRun(id="c", name="n", state="started", arguments={})
    assert set(json.loads(packet(started))) == {"type", "id", "name", "state", "arguments"}
    ended = json.loads(packet(HasEnded(reason="agent_hung_up", detail=None)))
    assert ended == {"type": "ended", "reason": "agent_hung_up", "detail": None}


@pytest.mark.parametrize("character", ["x", "\u00e9", "\U0001f600", "\x01", "\ud800"])
def test_no_packet_is_too_long(character: str) -> None:
    """Whatever a tool returns and a model invents, it is JSON and at most 15 KiB."""
    long = character * 20_000
    run = ToolRun(id="c", name=long, state="done", arguments={"a": long}, result=long, seconds=1)
    data = packet(run)
    assert len(data) <= LONGEST
    assert json.loads(data)["result"].endswith("\u2026")


async def test_a_room_that_has_gone_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be sent is missed; the call neither waits nor fails."""
    packets = Packets(rtc.Room(), "browser")
    with caplog.at_level(logging.DEBUG, logger="thirdring.watching"):
        for _ in range(3):
            packets(Wait(kind="reply", milliseconds=1))
        async with asyncio.timeout(5):
            await packets.sent()
    assert caplog.text.count("missed something") == 3
