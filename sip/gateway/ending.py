"""How a call ends, and what either side must hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["End", "Farewell", "farewell"]


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


_SIP_SIDE_KNOWS = {End.CALLER_HUNG_UP, End.CALLER_GAVE_UP}


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
