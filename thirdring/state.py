"""What the tools of one call share: the `userdata` of its AgentSession."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from thirdring.calls import Leg
from thirdring.clock import Clock, SystemClock
from thirdring.settings import Business, Line
from thirdring.store import Store
from thirdring.store.appointments import Slot

__all__ = ["CallState"]


@dataclass
class CallState:
    """The facts and ports of one call.

    Attributes:
        offered: The slots that were offered during this call, by id. Only these can be booked: a
            model that invents an id books nothing.
        refused: Ids of tool calls to which a rule said no.
        end_requested: Set by a tool when the call should end after the agent's last word.
    """

    business: Business
    line: Line
    leg: Leg
    store: Store
    clock: Clock = field(default_factory=SystemClock)
    offered: dict[str, Slot] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    end_requested: asyncio.Event = field(default_factory=asyncio.Event)
