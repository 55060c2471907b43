"""From a participant of a room to the leg of a call. Pure: no room, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from livekit import rtc

from thirdring.calls import EndReason, Leg, LegKind, e164

__all__ = [
    "ENDING_ATTRIBUTE",
    "JOURNAL_ATTRIBUTE",
    "CallStatus",
    "Departure",
    "Participant",
    "call_status",
    "caller_left",
    "ending_said",
    "leg",
    "phone_leg",
    "say_ending",
]

ENDING_ATTRIBUTE: Final = "thirdring.ending"
"""Under this attribute our gateway says why it leaves, where its leaving alone would not tell."""

JOURNAL_ATTRIBUTE: Final = "thirdring.journal"
"""Under this attribute an agent says the id of the home that it has opened the call's journal in,
unless that is the home of the gateway that the call came by."""


class Participant(Protocol):
    """What is read of a `livekit.rtc.RemoteParticipant`."""

    @property
    def sid(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def kind(self) -> rtc.ParticipantKind.ValueType: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...


class CallStatus(StrEnum):
    """Values of `sip.callStatus` (docs.livekit.io/reference/telephony/sip-participant)."""

    DIALING = "dialing"
    RINGING = "ringing"
    AUTOMATION = "automation"
    ACTIVE = "active"
    HANGUP = "hangup"


def leg(participant: Participant, room: str) -> Leg:
    """Return the leg that this participant is.

    Where SIP does not name the call its room and participant do: a browser comes back to a room of
    the same name, and that is another call with a record of its own.
    """
    named_here = f"{room}-{participant.sid}"
    if participant.kind != rtc.ParticipantKind.PARTICIPANT_KIND_SIP:
        return Leg(call_id=named_here, kind=LegKind.BROWSER, identity=participant.identity)
    return phone_leg(participant.identity, participant.attributes, otherwise=named_here)


def phone_leg(identity: str, attributes: Mapping[str, str], *, otherwise: str) -> Leg:
    """Return the leg of a phone from the attributes that its SIP side gives it.

    Args:
        identity: The participant's.
        attributes: As livekit-sip names them.
        otherwise: The id of a call that SIP does not name.
    """
    return Leg(
        call_id=attributes.get("sip.callID") or otherwise,
        kind=LegKind.SIP,
        identity=identity,
        caller=e164(attributes.get("sip.phoneNumber", "")),
        called=e164(attributes.get("sip.trunkPhoneNumber", "")),
        sip_call_id=attributes.get("sip.callIDFull") or None,
        trunk_id=attributes.get("sip.trunkID") or None,
        rule_id=attributes.get("sip.ruleID") or None,
    )


def call_status(attributes: Mapping[str, str]) -> CallStatus | None:
    """Return the state of the SIP call; None for other participants and unknown values."""
    try:
        return CallStatus(attributes.get("sip.callStatus", ""))
    except ValueError:
        return None


_MEDIA_FAILURES = frozenset(
    {
        # livekit-server gives every departure a reason; whoever vanishes without one was lost
        # together with the connection to it.
        None,
        rtc.DisconnectReason.UNKNOWN_REASON,
        rtc.DisconnectReason.SERVER_SHUTDOWN,
        rtc.DisconnectReason.MEDIA_FAILURE,
        rtc.DisconnectReason.CONNECTION_TIMEOUT,
        rtc.DisconnectReason.SIGNAL_CLOSE,
    }
)
_REMOVALS = frozenset(
    {
        rtc.DisconnectReason.PARTICIPANT_REMOVED,
        # Not ROOM_CLOSED: so livekit-server closes a room that all callers left. It tells us of
        # one who published nothing up to 3 s late, after the room's departure timeout.
        rtc.DisconnectReason.ROOM_DELETED,
        # Whoever comes with the same identity takes its place.
        rtc.DisconnectReason.DUPLICATE_IDENTITY,
    }
)


class Departure(NamedTuple):
    """Why a call ended, and a line for people where it needs one."""

    reason: EndReason
    detail: str | None = None


def caller_left(reason: rtc.DisconnectReason.ValueType | None, *, answered: bool) -> Departure:
    """Return why the call ended when its caller left the room for this reason."""
    if reason == rtc.DisconnectReason.DUPLICATE_IDENTITY:
        return Departure(EndReason.REMOVED, "somebody joined with the same identity")
    if reason in _REMOVALS:
        return Departure(EndReason.REMOVED)
    if reason in _MEDIA_FAILURES and not answered:
        # A caller who gives up makes the SIP side leave in good order.
        return Departure(EndReason.INTERRUPTED, "the SIP side was lost while the phone rang")
    if not answered:
        return Departure(EndReason.ABANDONED)
    lost = reason in _MEDIA_FAILURES
    return Departure(EndReason.MEDIA_TIMEOUT if lost else EndReason.CALLER_HUNG_UP)


def say_ending(departure: Departure) -> dict[str, str]:
    """Return the attribute by which our gateway says why it leaves."""
    return {ENDING_ATTRIBUTE: f"{departure.reason} {departure.detail or ''}".strip()}


def ending_said(attributes: Mapping[str, str]) -> Departure | None:
    """Return what our gateway has said of the end; None when it said nothing that we know."""
    reason, _, detail = attributes.get(ENDING_ATTRIBUTE, "").partition(" ")
    try:
        return Departure(EndReason(reason), detail or None)
    except ValueError:
        return None
