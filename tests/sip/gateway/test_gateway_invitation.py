"""What becomes of the headers of an INVITE, hostile ones included."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.gateway.ending import End, farewell
from sip.gateway.invitation import CallStatus, invitation, masked

LINE = "+12025550142"


def test_an_invitation_names_room_and_participant_as_livekit_sip_does() -> None:
    """Room, identity, name and the attributes of section "inbound participant"."""
    invited = invitation(
        LINE,
        peer="sip:+15550199@192.0.2.7:5066",
        sip_call_id="a84b4c76e66710",
        headers={"From": '"Ann" <sip:+15550199@pbx.example:5066;user=phone>;tag=88sja8x'},
    )
    assert re.fullmatch(r"call-_\+15550199_\w{12}", invited.room)
    assert (invited.identity, invited.name) == ("sip_+15550199", "Phone +15550199")
    attributes = invited.attributes(CallStatus.RINGING)
    assert re.fullmatch(r"SCL_\w{12}", attributes.pop("sip.callID"))
    assert attributes == {
        "sip.callIDFull": "a84b4c76e66710",
        "sip.callTag": "88sja8x",
        "sip.callStatus": "ringing",
        "sip.phoneNumber": "+15550199",
        "sip.trunkPhoneNumber": LINE,
        "sip.trunkID": "ST_gateway",
        "sip.ruleID": "SDR_gateway",
        "sip.hostname": "pbx.example",
    }


@pytest.mark.parametrize(
    ("header", "caller", "host", "tag"),
    [
        ("<sip:anonymous@anonymous.invalid>;tag=1", "anonymous", "anonymous.invalid", "1"),
        ("sip:+15550199@192.0.2.7;tag=abc", "+15550199", "192.0.2.7", "abc"),
        ("<sips:bob@[2001:db8::1]:5061>;x=y;tag=t", "bob", "[2001:db8::1]", "t"),
        ("<sip:192.0.2.7>;tag=t", "", "192.0.2.7", "t"),
        ("nonsense", "", "", ""),
    ],
)
def test_from_is_read_in_all_its_spellings(header: str, caller: str, host: str, tag: str) -> None:
    """Hidden callers keep the user part that they sent; what is missing is empty."""
    invited = invitation(LINE, peer=None, sip_call_id=None, headers={"from": header})
    assert (invited.caller, invited.host, invited.tag) == (caller, host, tag)


@given(st.text(max_size=600), st.text(max_size=600))
def test_no_header_can_smuggle_control_characters_or_grow_names(user: str, call_id: str) -> None:
    """Names and attributes stay printable in one line, and short."""
    invited = invitation(
        LINE, peer=None, sip_call_id=call_id, headers={"From": f"<sip:{user}@h>;tag={user}"}
    )
    shown = [invited.room, invited.identity, invited.name]
    for text in [*shown, *invited.attributes(CallStatus.ACTIVE).values()]:
        assert len(text) <= 160
        assert len(text.splitlines()) <= 1
        assert "\x00" not in text


def test_each_call_has_a_room_of_its_own() -> None:
    """Two calls of one caller never share room or id."""
    calls = [invitation(LINE, peer=None, sip_call_id="1", headers={}) for _ in range(100)]
    assert len({call.room for call in calls}) == len({call.call_id for call in calls}) == 100


def test_logs_show_only_the_end_of_a_number() -> None:
    """Three characters, and none of a number that is no longer than that."""
    assert masked("+15550199") == "…199"
    assert masked("199") == "…"


@pytest.mark.parametrize("end", End)
def test_every_end_leaves_nobody_behind(end: End) -> None:
    """Whoever does not know yet that the call is over is told, and no room waits in vain."""
    ringing, answered = farewell(end, answered=False), farewell(end, answered=True)
    assert ringing.hang_up == (end not in (End.CALLER_HUNG_UP, End.CALLER_GAVE_UP))
    assert ringing.leave == answered.leave == ringing.delete == (end is not End.ROOM_GONE)
    assert not answered.delete
