"""How a call ends, and what either side must hear of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sip.inbound import Departure
from thirdring.calls import EndReason

__all__ = ["End", "Farewell", "departure", "farewell", "is_said"]


class End(StrEnum):
    """Why a call is over; the first reason counts."""

    CALLER_HUNG_UP = "caller hung up"
    CALLER_GAVE_UP = "caller gave up before the answer"
    MEDIA_TIMEOUT = "no RTP from the caller"
    ROOM_GONE = "room deleted, or participant removed from it"
    NO_AGENT = "no agent came"
    AGENT_GONE = "agent left and none came back"
    ROOM_LOST = "no connection to livekit-server"
    STOPPED = "gateway stopped"
    FAILED = "gateway failed"


_SIP_SIDE_KNOWS: Final = frozenset({End.CALLER_HUNG_UP, End.CALLER_GAVE_UP})

_ANSWERED: Final[Mapping[End, EndReason]] = {
    End.CALLER_HUNG_UP: EndReason.CALLER_HUNG_UP,
    End.CALLER_GAVE_UP: EndReason.ABANDONED,
    End.MEDIA_TIMEOUT: EndReason.MEDIA_TIMEOUT,
    End.ROOM_GONE: EndReason.REMOVED,
    End.NO_AGENT: EndReason.REFUSED,
    End.AGENT_GONE: EndReason.AGENT_HUNG_UP,
    End.ROOM_LOST: EndReason.INTERRUPTED,
    End.STOPPED: EndReason.WORKER_STOPPED,
    End.FAILED: EndReason.INTERRUPTED,
}
_DETAILED: Final = frozenset(End) - _SIP_SIDE_KNOWS


@dataclass(frozen=True)
class Farewell:
    """What is left to do.

    Attributes:
        hang_up: Send BYE, or refuse the INVITE when it was not answered.
        leave: Set `sip.callStatus` to `hangup` and leave the room.
        delete: Delete the room; nobody shall wait in it for a call that never was.
    """

    hang_up: bool
    leave: bool
    delete: bool


def farewell(end: End, *, answered: bool) -> Farewell:
    """Return what an end still asks for."""
    in_room = end is not End.ROOM_GONE
    return Farewell(
        hang_up=end not in _SIP_SIDE_KNOWS, leave=in_room, delete=in_room and not answered
    )


def departure(end: End, *, answered: bool, detail: str | None = None) -> Departure:
    """Return what the record says of an end where no job is there to say it.

    Args:
        answered: The caller could hear and be heard, which takes the ACK.
        detail: In place of the end's own words.
    """
    said = detail or (end.value if end in _DETAILED else None)
    if answered:
        return Departure(_ANSWERED[end], said)
    if end in _SIP_SIDE_KNOWS:
        return Departure(EndReason.ABANDONED)
    if end is End.MEDIA_TIMEOUT:
        return Departure(EndReason.MEDIA_TIMEOUT, said)
    # A room that is deleted before the answer was so by the agent's side or an operator.
    return Departure(EndReason.REMOVED if end is End.ROOM_GONE else EndReason.REFUSED, said)


def is_said(end: End) -> bool:
    """Whether a job in the room must be told why: our leaving alone looks like a hang-up."""
    return end not in _SIP_SIDE_KNOWS and end is not End.ROOM_GONE
