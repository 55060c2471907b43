"""What became of one attempt to deliver a record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

__all__ = ["DeliveryResult", "Outcome"]


class Outcome(StrEnum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DISABLED = "disabled"  # 410: the receiver wants no more of this


@dataclass(frozen=True)
class DeliveryResult:
    """One attempt to deliver.

    Attributes:
        status: Of HTTP; None when no answer came.
        retry_after: How long the receiver asked to be left alone, at most 24 h.
        error: Why it was not delivered, one line for people.
    """

    outcome: Outcome
    status: int | None = None
    retry_after: timedelta | None = None
    error: str | None = None
