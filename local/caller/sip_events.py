"""What happens to a call, as its state machine tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from local.caller.sdp import AudioAnswer

__all__ = ["Answered", "Ended", "Event", "MediaChanged", "Ringing", "Signal"]


@dataclass(frozen=True)
class Signal:
    """One message crossed the wire, in `direction`; `status` is None for requests."""

    direction: Literal["in", "out"]
    method: str
    status: int | None
    reason: str | None


@dataclass(frozen=True)
class Ringing:
    status: int


@dataclass(frozen=True)
class Answered:
    audio: AudioAnswer


@dataclass(frozen=True)
class MediaChanged:
    """The far end moved its audio, or put the call on hold."""

    audio: AudioAnswer


@dataclass(frozen=True)
class Ended:
    """The call is over.

    Attributes:
        by: Who ended it. A refused call was ended by the far end.
        status: The final status when there was no answer; None after an answered call.
        reason: One line for people.
    """

    by: Literal["caller", "far_end"]
    status: int | None
    reason: str


Event = Signal | Ringing | Answered | MediaChanged | Ended
