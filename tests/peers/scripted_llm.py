"""A chat model that says and calls what a test wrote down, and remembers what it was shown."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import Any

from livekit.agents import NOT_GIVEN, APIConnectOptions, NotGivenOr, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

__all__ = ["Call", "ScriptedLLM"]


@dataclass(frozen=True)
class Call:
    """The model calls a tool; raw arguments may be anything."""

    name: str
    arguments: dict[str, object] | str
    id: str | None = None


class ScriptedLLM(llm.LLM[Any]):
    """Takes one step of its script each time it is asked; says "Ok." at its end.

    Several calls in one step are made at once.
    """

    def __init__(self, *script: Call | tuple[Call, ...] | str) -> None:
        super().__init__()
        self.script = deque(script)
        self.tools: list[llm.Tool] = []
        self.numbers = count(1)

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Answer with the next step."""
        self.tools = tools or []
        step = self.script.popleft() if self.script else "Ok."
        return _Stream(self, step, chat_ctx, self.tools, conn_options)


class _Stream(llm.LLMStream):
    def __init__(
        self,
        model: ScriptedLLM,
        step: Call | tuple[Call, ...] | str,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._step = step
        self._number = next(model.numbers)

    async def _run(self) -> None:
        self._event_ch.send_nowait(llm.ChatChunk(id=f"r{self._number}", delta=self._delta()))

    def _delta(self) -> llm.ChoiceDelta:
        if isinstance(self._step, str):
            return llm.ChoiceDelta(role="assistant", content=self._step)
        steps = self._step if isinstance(self._step, tuple) else (self._step,)
        calls = [
            llm.FunctionToolCall(
                name=step.name,
                arguments=given if isinstance(given := step.arguments, str) else json.dumps(given),
                call_id=step.id or f"fc{self._number}",
            )
            for step in steps
        ]
        return llm.ChoiceDelta(role="assistant", tool_calls=calls)
