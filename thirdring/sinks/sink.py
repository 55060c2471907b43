"""What the courier needs of a place that records go to."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from thirdring.sinks.results import DeliveryResult

__all__ = ["Sink"]


class Sink(Protocol):
    """One receiver of one business.

    Attributes:
        address: Tells it from others: a delivery is parked with the address that was gone, and goes
            on once it has another. Without any secret.
    """

    @property
    def address(self) -> str: ...

    async def deliver(self, record_id: str, body: bytes, now: datetime) -> DeliveryResult:
        """Hand `body` over once; whatever goes wrong is in the result.

        Args:
            record_id: The same at every attempt, so that the receiver knows a repetition.
            body: The record as JSON.
        """
        ...
