"""What the tools of one call share: the `userdata` of its AgentSession."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from livekit.agents.voice import SpeechHandle

from thirdring.calls import Leg
from thirdring.clock import Clock, SystemClock
from thirdring.conversation import Conversation
from thirdring.egress import Network
from thirdring.keypad import Keypad
from thirdring.outcome import OutcomeSheet
from thirdring.roles import Roles
from thirdring.settings import Business, Line
from thirdring.store import Store
from thirdring.store.appointments import Slot
from thirdring.store.errands import Errand
from thirdring.transfer import Transfer

__all__ = ["CallState"]

_Port = TypeVar("_Port")


def _no_outcome() -> OutcomeSheet:
    return OutcomeSheet(None, lambda _value: None)


@dataclass
class CallState:
    """The facts and ports of one call.

    Attributes:
        conversation: What was said so far.
        outcome: What the call leaves behind, as far as it is known.
        resources: Closed when the call is over.
        allowed_receivers: Networks inside that the business may reach although they are not public.
        transfer: Connects the caller with somebody else; None where nothing can.
        errand: What the call is made for; None when somebody calls us.
        keypad: Presses keys; None where there are none.
        roles: Which models the call has besides its main one.
        offered: The slots that were offered during this call, by id. Only these can be booked: a
            model that invents an id books nothing.
        agreements: Which effect of which tool call a yes of the caller has led to, by the id of
            the turn in which they first said it and the name of the tool.
        read_backs: The turns that there were when a tool was refused for want of a yes, by its
            name.
        refused: Ids of tool calls to which a rule said no.
        tool_calls: How many there were.
        filler: What asked the caller for patience last.
        goodbyes: How often the call was to end after a speech, by its id.
        end_requested: Set by a tool when the call should end after the agent's last word.
    """

    business: Business
    line: Line
    leg: Leg
    store: Store
    clock: Clock = field(default_factory=SystemClock)
    conversation: Conversation = field(default_factory=Conversation)
    outcome: OutcomeSheet = field(default_factory=_no_outcome)
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)
    allowed_receivers: tuple[Network, ...] = ()
    transfer: Transfer | None = None
    errand: Errand | None = None
    keypad: Keypad | None = None
    roles: Roles = field(default_factory=Roles)
    offered: dict[str, Slot] = field(default_factory=dict)
    agreements: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    read_backs: dict[str, frozenset[str]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    tool_calls: int = 0
    filler: SpeechHandle | None = None
    goodbyes: dict[str, int] = field(default_factory=dict)
    end_requested: asyncio.Event = field(default_factory=asyncio.Event)
    _ports: dict[type, Any] = field(default_factory=dict)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def port(
        self, kind: type[_Port], opening: Callable[[], AbstractAsyncContextManager[_Port]]
    ) -> _Port:
        """Return the one port of its kind in this call; it is opened at the first use."""
        async with self._opening:
            if kind not in self._ports:
                self._ports[kind] = await self.resources.enter_async_context(opening())
            port: _Port = self._ports[kind]
            return port
