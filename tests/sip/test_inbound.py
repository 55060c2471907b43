"""From participants to legs, and from departures to reasons."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from livekit import rtc

from sip.inbound import (
    CallStatus,
    Departure,
    call_status,
    caller_left,
    ending_said,
    leg,
    say_ending,
)
from thirdring.calls import EndReason, Leg, LegKind

_SIP = rtc.ParticipantKind.PARTICIPANT_KIND_SIP
_STANDARD = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD


@dataclass(frozen=True)
class _Participant:
    identity: str
    kind: rtc.ParticipantKind.ValueType
    attributes: dict[str, str] = field(default_factory=dict)
    sid: str = "PA_1"


def test_a_sip_participant_becomes_a_leg() -> None:
    """Numbers and ids come from the attributes that the SIP side sets."""
    participant = _Participant(
        "sip_+12025550199",
        _SIP,
        {
            "sip.callID": "SCL_1",
            "sip.callIDFull": "abc@127.0.0.1",
            "sip.phoneNumber": "+12025550199",
            "sip.trunkPhoneNumber": "12025550142",
            "sip.trunkID": "ST_1",
            "sip.ruleID": "SDR_1",
        },
    )
    assert leg(participant, "call-1") == Leg(
        call_id="SCL_1",
        kind=LegKind.SIP,
        identity="sip_+12025550199",
        caller="+12025550199",
        called="+12025550142",
        sip_call_id="abc@127.0.0.1",
        trunk_id="ST_1",
        rule_id="SDR_1",
    )


@pytest.mark.parametrize("number", ["", "anonymous", "100", "+1\r\nX: 1", "\u0660" * 8])
def test_what_is_no_number_is_none(number: str) -> None:
    """A hidden caller has no number rather than an empty one."""
    attributes = {"sip.callID": "SCL_1", "sip.phoneNumber": number}
    assert leg(_Participant("sip_1", _SIP, attributes), "call-1").caller is None


def test_a_browser_that_comes_back_makes_another_call() -> None:
    """Neither has a SIP call to be named by, and each has a record."""
    first, second = _Participant("me", _STANDARD), _Participant("me", _STANDARD, sid="PA_2")
    assert leg(first, "playground").call_id == "playground-PA_1"
    assert leg(second, "playground").call_id == "playground-PA_2"


def test_unknown_states_are_none() -> None:
    """A state that LiveKit adds later breaks nothing."""
    assert call_status({"sip.callStatus": "parked"}) is None
    assert call_status({"sip.callStatus": "active"}) is CallStatus.ACTIVE


@pytest.mark.parametrize(
    ("reason", "answered", "expected"),
    [
        (rtc.DisconnectReason.CLIENT_INITIATED, True, EndReason.CALLER_HUNG_UP),
        (rtc.DisconnectReason.CLIENT_INITIATED, False, EndReason.ABANDONED),
        (rtc.DisconnectReason.PARTICIPANT_REMOVED, True, EndReason.REMOVED),
        (rtc.DisconnectReason.ROOM_DELETED, True, EndReason.REMOVED),
        (rtc.DisconnectReason.ROOM_CLOSED, True, EndReason.CALLER_HUNG_UP),
        (rtc.DisconnectReason.ROOM_CLOSED, False, EndReason.ABANDONED),
        (rtc.DisconnectReason.MEDIA_FAILURE, True, EndReason.MEDIA_TIMEOUT),
        (None, True, EndReason.MEDIA_TIMEOUT),
        (None, False, EndReason.INTERRUPTED),
        (rtc.DisconnectReason.SERVER_SHUTDOWN, True, EndReason.MEDIA_TIMEOUT),
    ],
)
def test_a_departure_has_a_reason(
    reason: rtc.DisconnectReason.ValueType | None, answered: bool, expected: EndReason
) -> None:
    """Who ended the call can be told from why the participant left."""
    assert caller_left(reason, answered=answered).reason is expected


@pytest.mark.parametrize("detail", [None, "no RTP for 15 s"])
def test_what_the_gateway_says_of_the_end_is_read_as_it_was_said(detail: str | None) -> None:
    """Reason and detail go by one attribute."""
    departure = Departure(EndReason.MEDIA_TIMEOUT, detail)
    assert ending_said(say_ending(departure)) == departure


@pytest.mark.parametrize("said", ["", "tired", " media_timeout"])
def test_an_ending_that_says_nothing_we_know_is_none(said: str) -> None:
    """The departure itself counts then."""
    assert ending_said({"thirdring.ending": said}) is None
