"""What a tool costs besides its own work: from the function call to the reply that it leads to.

A tool that does nothing is called through the real agent session, plugin and guards, with a journal
that is written; the other side is a scripted server in a process of its own (`bench.tool_model`).
The same is done without guards, for what LiveKit takes by itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any, Final
from zoneinfo import ZoneInfo

from livekit.agents import AgentSession, RunContext, function_tool
from rich.console import Console

from bench.tool_model import TOOL
from local.caller.priority import real_time
from thirdring import session
from thirdring.agents import first_agent
from thirdring.calls import Leg, LegKind
from thirdring.clock import SystemClock
from thirdring.journal import Journal, Opened
from thirdring.recorder import Recorder
from thirdring.settings import Business, Limits, Line
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from thirdring.workflow import Workflow
from tools.guard import guarded

__all__ = ["ToolReport", "measure_tools", "misses", "render", "run"]

MOST_P50_MILLISECONDS: Final = 5.0
MOST_P99_MILLISECONDS: Final = 15.0

_CALLS_EACH: Final = 20
"""Tool calls of one phone call: no conversation is long enough to be slow by itself."""

_LINE: Final = Line(number="+12025550142", workflow="bench")
_BUSINESS: Final = Business(
    slug="bench", name="Bench", time_zone=ZoneInfo("UTC"), lines=(_LINE,), limits=Limits()
)


@dataclass(frozen=True)
class ToolReport:
    """What was measured, in milliseconds.

    Attributes:
        n: Tool calls with guards; as many were made without.
        p50, p99, longest: From the function call on the wire to `response.create`.
        bare_p50, bare_p99: The same, of a tool that nothing guards.
        guards_p50, guards_p99: Of the guards alone, around a tool that does nothing.
    """

    n: int
    p50: float
    p99: float
    longest: float
    bare_p50: float
    bare_p99: float
    guards_p50: float
    guards_p99: float


@function_tool(name=TOOL)
@guarded
async def _guarded(ctx: RunContext[CallState], word: str) -> str:
    """Do nothing.

    Args:
        word: Any word.
    """
    return word


@function_tool(name=TOOL)
async def _bare(ctx: RunContext[CallState], word: str) -> str:
    """Do nothing.

    Args:
        word: Any word.
    """
    return word


async def measure_tools(n: int) -> ToolReport:
    """Call a tool `n` times with guards and as often without, a few times in each phone call."""
    guarded_waits, alone = await _waits(n, _guarded)
    bare_waits, _ = await _waits(n, _bare)
    with_guards, without = quantiles(guarded_waits, n=100), quantiles(bare_waits, n=100)
    guards = quantiles(alone, n=100)
    return ToolReport(
        n=len(guarded_waits),
        p50=with_guards[49],
        p99=with_guards[98],
        longest=max(guarded_waits),
        bare_p50=without[49],
        bare_p99=without[98],
        guards_p50=guards[49],
        guards_p99=guards[98],
    )


def render(report: ToolReport) -> str:
    """Return the figures, each with how many it counts."""
    return (
        f"tools: function call to response.create {report.p50:.1f} ms (p50), {report.p99:.1f} ms"
        f" (p99), {report.longest:.1f} ms (longest); n={report.n},"
        f" {MOST_P50_MILLISECONDS:.0f} and {MOST_P99_MILLISECONDS:.0f} ms at most\n"
        f"tools: without guards {report.bare_p50:.1f} ms (p50), {report.bare_p99:.1f} ms (p99);"
        f" n={report.n}\n"
        f"tools: the guards alone {report.guards_p50:.2f} ms (p50), {report.guards_p99:.2f} ms"
        f" (p99); n={report.n}"
    )


def misses(report: ToolReport) -> list[str]:
    """Return what is slower than it may be."""
    bounds = {"p50": MOST_P50_MILLISECONDS, "p99": MOST_P99_MILLISECONDS}
    return [
        f"a tool costs {getattr(report, name):.1f} ms ({name}), {most:.0f} at most"
        for name, most in bounds.items()
        if getattr(report, name) > most
    ]


async def run(console: Console, *, n: int) -> int:
    """Measure, print, and return the exit code: 1 when a bound is missed."""
    with real_time():  # what others do on this machine is no cost of a tool
        report = await measure_tools(n)
    console.print(render(report), soft_wrap=True)
    missed = misses(report)
    for line in missed:
        console.print(f"MISSED: {line}")
    return 1 if missed else 0


async def _waits(n: int, tool: Any) -> tuple[list[float], list[float]]:
    """Return what `n` calls of a tool took on the wire, and by itself, called directly."""
    alone: list[float] = []
    command = [sys.executable, "-m", "bench.tool_model"]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    os.environ.update(OPENAI_BASE_URL=url, OPENAI_API_KEY="none")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(-(-n // _CALLS_EACH)):
            async with _call(Path(folder), number, tool) as started:
                for _ in range(_CALLS_EACH):
                    await started.run(user_input="Go on.")
                alone += await _alone(started, tool)
    printed, _ = await process.communicate(b"")
    waits: list[float] = json.loads(printed)
    return waits[:n], alone[:n]


@asynccontextmanager
async def _call(folder: Path, number: int, tool: Any) -> AsyncIterator[AgentSession[CallState]]:
    leg = Leg(call_id=f"call-{number}", kind=LegKind.SIP, identity="sip_+12025550199")
    opened = Opened(
        at=datetime.now(UTC),
        leg=leg,
        business=_BUSINESS.slug,
        line=_LINE.number,
        workflow=_LINE.workflow,
        model=_LINE.model,
        room=leg.call_id,
        job=f"AJ_{number}",
    )
    workflow = Workflow(name="bench", greeting="Hello.", tools=(tool,))
    async with (
        SqliteStore(folder / "store.db") as store,
        Journal.create(folder, opened) as journal,
    ):
        recorder = Recorder(journal.append, SystemClock())
        state = CallState(
            business=_BUSINESS,
            line=_LINE,
            leg=leg,
            store=store,
            conversation=recorder.conversation,
        )
        started = session.agent_session(_LINE, workflow, state, text=True)
        recorder.attach(started)
        agent = first_agent(_LINE, workflow, lambda _name: "Do nothing.")
        agent.answered.set()
        async with started:
            await started.start(agent, record=False)
            yield started
        await started.llm.aclose()  # type: ignore[union-attr]  # it has one


async def _alone(started: AgentSession[CallState], tool: Any) -> list[float]:
    """Return what the tool takes when nobody but us calls it, in milliseconds."""
    calls = [item for item in started.history.items if item.type == "function_call"]
    speech = started.generate_reply(user_input="Go on.")
    context = RunContext(session=started, speech_handle=speech, function_call=calls[-1])
    started.userdata.tool_calls = -_CALLS_EACH
    waits = []
    for _ in range(_CALLS_EACH):
        began = time.perf_counter()
        await tool(context, **json.loads(calls[-1].arguments))
        waits.append((time.perf_counter() - began) * 1000)
    await speech
    return waits
