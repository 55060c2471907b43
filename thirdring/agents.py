"""The agents of one call: which one speaks first, and how one hands the caller over to the next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from livekit.agents import RunContext, llm
from livekit.agents.llm import ToolError

from thirdring.session import PhoneAgent
from thirdring.settings import Line
from thirdring.state import CallState
from thirdring.workflow import MAIN, AgentPart, Workflow, handover_name, tool_names

__all__ = ["HANDOVERS", "first_agent"]

HANDOVERS: Final = 8
"""In one call; two agents that send a caller to and fro would never end it."""

_UNDERSTANDING_SECONDS: Final = 1.5


def first_agent(
    line: Line,
    workflow: Workflow,
    told: Callable[[str], str],
    *,
    name: str = MAIN,
    filled: Callable[[str], str] = str,
    more_tools: Sequence[llm.RawFunctionTool[..., Any]] = (),
) -> PhoneAgent:
    """Return the agent that a call begins with; the others are made when it hands over to them.

    Args:
        line: May offer fewer tools than the workflow has.
        told: From an agent's name to its instructions, placeholders filled.
        name: Another one than the workflow's first, on a call of its own.
        filled: Fills the placeholders of an opening.
        more_tools: What the business adds to those of the workflow's first agent; may grow. One
            that has the name of a workflow's tool stands in for it.
    """
    return _Cast(line, workflow, told, filled, more_tools).agent(name)


@dataclass
class _Cast:
    line: Line
    workflow: Workflow
    told: Callable[[str], str]
    filled: Callable[[str], str]
    more_tools: Sequence[llm.RawFunctionTool[..., Any]]
    left: int = field(default=HANDOVERS)

    def agent(self, name: str, *, before: PhoneAgent | None = None) -> PhoneAgent:
        if name == MAIN:
            tools, successors, opening = self.workflow.tools, self.workflow.hands_over_to, None
        else:
            part = self.workflow.part(name)
            tools, successors, opening = part.tools, part.hands_over_to, part.opening
        more = {tool.info.name: tool for tool in self.more_tools}
        offered: list[Any] = [
            more.pop(tool.info.name, tool)
            for tool in tools
            if self.line.tools is None or tool.info.name in self.line.tools
        ]
        if name == MAIN:
            others = tool_names(self.workflow)
            offered += [tool for key, tool in more.items() if key not in others]
        following = [self.workflow.part(each) for each in successors if each != MAIN]
        offered += [self._handover(part) for part in following if not part.on_its_own_call]
        if MAIN in successors:
            offered.append(self._back())
        return PhoneAgent(
            name=name,
            instructions=self.told(name),
            tools=offered,
            opening=opening and self.filled(opening),
            before=before,
            guardrails=self.workflow.guardrails,
        )

    def _handover(self, part: AgentPart) -> llm.FunctionTool[..., Any]:
        return self._tool(part.name, f"Hand the other party over to {part.name}: {part.when}")

    def _back(self) -> llm.FunctionTool[..., Any]:
        return self._tool(MAIN, "Hand the other party back to the agent that began the call.")

    def _tool(self, name: str, description: str) -> llm.FunctionTool[..., Any]:
        async def hand_over(ctx: RunContext[CallState]) -> PhoneAgent:
            if self.left == 0:
                raise ToolError("There was enough handing over in this call. Go on yourself.")
            self.left -= 1
            # The next agent knows what was said; a transcript may come after the tool call.
            await ctx.userdata.conversation.wait_until_understood(_UNDERSTANDING_SECONDS)
            before = ctx.session.current_agent
            assert isinstance(before, PhoneAgent)
            return self.agent(name, before=before)

        return llm.function_tool(hand_over, name=handover_name(name), description=description)
