"""What a business adds to the tools of a workflow; its servers are asked while the phone rings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from livekit.agents import llm

from thirdring.session import PhoneAgent
from thirdring.state import CallState

__all__ = ["Finding", "MoreTools", "none_found"]

logger = logging.getLogger(__name__)

Finding = Callable[[CallState, Sequence[str]], Awaitable[Sequence[llm.RawFunctionTool[..., Any]]]]
"""Returns them, given the names of the workflow's own."""

_AT_ONCE_SECONDS: Final = 0.1
"""What the caller goes on hearing the phone ring for; who is later is offered during the call."""


async def none_found(
    _state: CallState, _names: Sequence[str]
) -> Sequence[llm.RawFunctionTool[..., Any]]:
    """Return no tools."""
    return ()


class MoreTools:
    """Those of one call.

    Attributes:
        known: Those that are known by now; more may come.
    """

    def __init__(self, find: Finding, state: CallState, names: Sequence[str]) -> None:
        self.known: list[llm.RawFunctionTool[..., Any]] = []
        self._name = state.leg.call_id
        self._finding = asyncio.create_task(self._find(find, state, names))
        self._offering: asyncio.Task[None] | None = None
        state.resources.push_async_callback(self._stop)

    async def wait_a_moment(self) -> None:
        """Return when all are known, or when the caller should not wait any longer."""
        await asyncio.wait({self._finding}, timeout=_AT_ONCE_SECONDS)

    def offer(self, agent: PhoneAgent) -> None:
        """Give an agent that speaks already those that come late."""
        if not self._finding.done():
            self._offering = asyncio.create_task(self._offer(agent, len(self.known)))

    async def _find(self, find: Finding, state: CallState, names: Sequence[str]) -> None:
        try:
            self.known += await find(state, names)
        except Exception:
            logger.exception("call %s goes on without the tools of its business", self._name)

    async def _offer(self, agent: PhoneAgent, given: int) -> None:
        await self._finding
        if len(self.known) > given:
            await agent.update_tools([*agent.tools, *self.known[given:]])

    async def _stop(self) -> None:
        tasks = [task for task in (self._finding, self._offering) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
