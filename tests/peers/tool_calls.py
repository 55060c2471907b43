"""A call whose model does as told, to try tools with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from livekit.agents import Agent, AgentSession
from livekit.agents.llm import Tool, Toolset
from livekit.agents.voice.run_result import RunResult

from tests.peers.scripted_llm import Call, ScriptedLLM
from tests.samples import LINE, SetClock, business, opened
from thirdring.calls import Role, Turn
from thirdring.state import CallState
from thirdring.store import Store

__all__ = ["FRIDAY_NOON", "Conversation", "calling"]

FRIDAY_NOON = datetime(2026, 11, 20, 17, 10, tzinfo=UTC)
"""Ten past noon in New York."""


class Conversation:
    """A call whose model does as told; `use` returns what the model heard back."""

    def __init__(self, state: CallState, session: AgentSession[CallState]) -> None:
        self.state = state
        self.clock = state.clock
        self.session = session

    async def use(self, tool: str, /, tool_call: str | None = None, **arguments: object) -> str:
        """Return the tool's result; a refusal begins with `REFUSED: `."""
        (heard,) = await self.use_at_once(Call(tool, arguments, tool_call))
        return heard

    async def use_at_once(self, *calls: Call) -> list[str]:
        """Return the results of tool calls that the model makes in one turn."""
        model = self.session.llm
        assert isinstance(model, ScriptedLLM)
        model.script.append(calls)
        async with asyncio.timeout(20):
            result: RunResult[object] = await self.session.run(user_input="...")
        outputs = [event.item for event in result.events if event.type == "function_call_output"]
        assert len(outputs) == len(calls)
        return [f"REFUSED: {item.output}" if item.is_error else item.output for item in outputs]

    def hear(self, role: Role, text: str) -> None:
        """Let somebody have said something."""
        turns, now = self.state.conversation.turns, self.clock.now()
        turns.append(Turn(id=f"t{len(turns)}", role=role, text=text, started_at=now, ended_at=now))

    async def agreed(self, tool: str, /, tool_call: str | None = None, **arguments: object) -> str:
        """Return the result of a tool once the agent has read back what it asked for."""
        first = await self.use(tool, tool_call, **arguments)
        if not first.startswith("REFUSED: Not done yet. Read this back"):
            return first
        self.read_back(first)
        return await self.use(tool, tool_call, **arguments)

    def read_back(self, refusal: str) -> None:
        """Let the agent have read back what a refusal says, and the caller have agreed."""
        self.hear(Role.AGENT, refusal.split(": ", 2)[2].partition(". When they agree")[0] + "?")
        self.hear(Role.CALLER, "Yes, that's right.")

    async def offered(self, day: str) -> list[str]:
        """Return the ids of the slots that are offered on a day."""
        found = json.loads(await self.use("find_slots", day=day))
        return [slot["slot_id"] for slot in found["slots"]]


@asynccontextmanager
async def calling(
    store: Store, tools: Sequence[Tool | Toolset], call_id: str = "call-1"
) -> AsyncIterator[Conversation]:
    """Yield a call to the clinic whose agent has these tools."""
    state = CallState(
        business=business(),
        line=LINE,
        leg=opened(call_id).leg,
        store=store,
        clock=SetClock(FRIDAY_NOON),
    )
    session = AgentSession(llm=ScriptedLLM(), userdata=state)
    async with state.resources, session:
        await session.start(Agent(instructions="", tools=list(tools)))
        yield Conversation(state, session)
