"""From a participant of a room to the leg of a call. Pure: no room, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from livekit import rtc

from thirdring.calls import EndReason, Leg, LegKind, e164

__all__ = ["CallStatus", "Participant", "call_status", "caller_left", "leg"]


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
    attributes = participant.attributes
    return Leg(
        call_id=attributes.get("sip.callID") or named_here,
        kind=LegKind.SIP,
        identity=participant.identity,
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
        rtc.DisconnectReason.ROOM_DELETED,
        rtc.DisconnectReason.ROOM_CLOSED,
        # Whoever comes with the same identity takes its place.
        rtc.DisconnectReason.DUPLICATE_IDENTITY,
    }
)


def caller_left(reason: rtc.DisconnectReason.ValueType | None, *, answered: bool) -> EndReason:
    """Return why the call ended when its caller left the room for this reason."""
    if reason in _REMOVALS:
        return EndReason.REMOVED
    if not answered:
        return EndReason.ABANDONED
    return EndReason.MEDIA_TIMEOUT if reason in _MEDIA_FAILURES else EndReason.CALLER_HUNG_UP
