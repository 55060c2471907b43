"""Deliveries as values: what is due where, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from thirdring.sinks.results import DeliveryResult

__all__ = ["DeliveryState", "Due", "Endpoint", "Settlement"]


class DeliveryState(StrEnum):
    """How far a delivery has come; all but `pending` are final until an operator or a changed
    address says otherwise."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"  # its endpoint has answered 410
    DEAD = "dead"  # every attempt of the schedule failed
    DISMISSED = "dismissed"  # an operator wants it delivered no more


class Endpoint(NamedTuple):
    """Where deliveries go: a sink of a business; also the key under which config has it."""

    business: str
    sink: str


@dataclass(frozen=True)
class Due:
    """A delivery that its claimer is to try now; `attempts` are those before."""

    call_id: str
    record_id: str
    business: str
    sink: str
    body: bytes
    attempts: int

    @property
    def endpoint(self) -> Endpoint:
        """Where it goes."""
        return Endpoint(self.business, self.sink)


@dataclass(frozen=True)
class Settlement:
    """What became of one attempt.

    Attributes:
        state: Parked parks the endpoint, with all that is pending for it.
        result: None when nothing was tried.
        due_at: When to try again; goes with `pending`, and only with it.
    """

    call_id: str
    sink: str
    state: DeliveryState
    result: DeliveryResult | None
    due_at: datetime | None = None
