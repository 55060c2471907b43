"""Follows the caller's participant in its room: answered, digits, gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from livekit import rtc

from sip.inbound import CallStatus, Departure, call_status, caller_left, ending_said
from thirdring.calls import EndReason

__all__ = ["CallerEvents", "Follower", "arrival", "follow"]

_PHONES_AND_PEOPLE = frozenset(
    {
        rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
        rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    }
)

_UNSAID = frozenset({None, rtc.DisconnectReason.UNKNOWN_REASON})
_SUCCESSOR_SECONDS = 0.1

_KEYS = frozenset("0123456789ABCD*#")


@dataclass(frozen=True)
class CallerEvents:
    """What happens to the caller, each called on the event loop.

    Attributes:
        answered: Called once: the caller can hear from now on.
        digit: One key, `0-9 A-D * #` (RFC 4733).
        left: Called at most once, with the reason, and a line for people where it needs one.
    """

    answered: Callable[[], None]
    digit: Callable[[str], None]
    left: Callable[[EndReason, str | None], None]


async def arrival(room: rtc.Room, *, timeout: float) -> rtc.RemoteParticipant:
    """Return the first caller in the room, there already or about to come.

    Others may watch: of those who are there already a phone is the caller, else who came first.

    Raises:
        TimeoutError: Nobody came within `timeout` seconds, or the room has gone.
    """
    arrived: asyncio.Future[rtc.RemoteParticipant] = asyncio.get_running_loop().create_future()

    def check(participant: rtc.RemoteParticipant) -> None:
        if participant.kind in _PHONES_AND_PEOPLE and not arrived.done():
            arrived.set_result(participant)

    def gone(_reason: object) -> None:
        if not arrived.done():
            arrived.set_exception(TimeoutError("the room has gone"))

    room.on("participant_connected", check)
    room.on("disconnected", gone)
    if not room.isconnected():  # nothing would tell of it any more
        gone(None)
    try:
        for participant in sorted(room.remote_participants.values(), key=_turn):
            check(participant)
        return await asyncio.wait_for(arrived, timeout)
    finally:
        room.off("participant_connected", check)
        room.off("disconnected", gone)


def _turn(participant: rtc.RemoteParticipant) -> tuple[bool, datetime]:
    phone = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
    return not phone, participant.joined_at or datetime.max.replace(tzinfo=UTC)


class Follower:
    """Sees one participant through its call.

    Attributes:
        identity: The participant's.
        left: Set once it has left.
    """

    def __init__(self, participant: rtc.RemoteParticipant, events: CallerEvents) -> None:
        self.left = asyncio.Event()
        self._participant = participant
        self.identity = participant.identity
        self._events = events
        self._phone = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
        self._answered = False

    def check_status(self) -> None:
        status = call_status(self._participant.attributes)
        if self._phone and status is CallStatus.HANGUP:
            # Either SIP side says so before it leaves the room, which takes it up to 100 ms more.
            self.leave(rtc.DisconnectReason.CLIENT_INITIATED)
        elif not self._answered and (not self._phone or status is CallStatus.ACTIVE):
            self._answered = True
            self._events.answered()

    def on_attributes(self, _changed: dict[str, str], participant: rtc.Participant) -> None:
        if participant.identity == self.identity:
            self.check_status()

    def on_digit(self, digit: rtc.SipDTMF) -> None:
        ours = digit.participant is not None and digit.participant.identity == self.identity
        # A browser sends whatever text it likes.
        if ours and digit.digit in _KEYS:
            self._events.digit(digit.digit)

    def on_connected(self, participant: rtc.RemoteParticipant) -> None:
        # The room holds one participant of a name: it has taken ours' place.
        if participant.identity == self.identity:
            self.leave(rtc.DisconnectReason.DUPLICATE_IDENTITY)

    def on_disconnected(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity != self.identity:
            return
        reason = participant.disconnect_reason
        if reason in _UNSAID:
            # So leaves, too, whose place is taken: that the other one came is told next.
            asyncio.get_running_loop().call_later(_SUCCESSOR_SECONDS, self.leave, reason)
        else:
            self.leave(reason)

    def leave(self, reason: rtc.DisconnectReason.ValueType | None) -> None:
        """Report that the participant has left, unless that was done before."""
        if not self.left.is_set():
            self.left.set()
            self._events.left(*self._departure(reason))

    def _departure(self, reason: rtc.DisconnectReason.ValueType | None) -> Departure:
        # A browser may give itself what attributes it likes.
        said = ending_said(self._participant.attributes) if self._phone else None
        return said or caller_left(reason, answered=self._answered)


def follow(room: rtc.Room, participant: rtc.RemoteParticipant, events: CallerEvents) -> Follower:
    """Report what happens to this participant for as long as the room is connected.

    A phone is answered when `sip.callStatus` says `active`, and gone when it says `hangup`; others
    are there to hear at once.
    """
    follower = Follower(participant, events)
    room.on("participant_attributes_changed", follower.on_attributes)
    room.on("sip_dtmf_received", follower.on_digit)
    room.on("participant_connected", follower.on_connected)
    room.on("participant_disconnected", follower.on_disconnected)
    room.on("disconnected", follower.leave)
    follower.check_status()
    return follower
