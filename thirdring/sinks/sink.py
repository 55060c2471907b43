"""What the courier needs of a place that records go to."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from thirdring.sinks.results import DeliveryResult

__all__ = ["Sink"]


class Sink(Protocol):
    """One receiver of one business.

    Attributes:
        address: Where it is, to tell when it has moved. May have a secret in it: only digests of it
            are stored, and none is shown.
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
