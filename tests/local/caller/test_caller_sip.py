"""The caller's state machine, without a socket: times are given to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.caller.dialog import Dialog, reply
from local.caller.sdp import audio_offer
from local.caller.sip import CallState, OutgoingCall
from local.caller.sip_events import Answered, Ended
from local.caller.sip_message import (
    Request,
    Response,
    SipUri,
    SipUriError,
    header,
    parse_message,
    parse_uri,
    tag_of,
    uri_of,
)

PEER = ("127.0.0.1", 5060)


def started() -> OutgoingCall:
    call = OutgoingCall(
        SipUri("+12025550142", *PEER),
        caller="+12025550199",
        local=("127.0.0.1", 5070),
        audio=("127.0.0.1", 4000),
    )
    call.start(now=0.0)
    return call


def sent(call: OutgoingCall) -> list[Request]:
    messages = [parse_message(data) for data, _ in call.take_datagrams()]
    return [message for message in messages if isinstance(message, Request)]


def answer(
    invite: Request, status: int, *, tag: str = "peer", body: bytes = b"", route: str = ""
) -> bytes:
    response = reply(invite, status, "Reason", contact=SipUri("callee", *PEER), body=body)
    headers = tuple(
        (name, f"{value};tag={tag}" if name == "To" else value) for name, value in response.headers
    )
    if route:
        headers += (("Record-Route", route),)
    return Response(status, "Reason", headers, body).to_bytes()


SDP = audio_offer("127.0.0.1", 4002, session_id=2)


def answered(route: str = "") -> tuple[OutgoingCall, Request]:
    call = started()
    (invite,) = sent(call)
    call.receive(answer(invite, 200, body=SDP, route=route), PEER, 0.1)
    return call, invite


def test_an_invite_doubles_its_interval_and_gives_up_after_32_seconds() -> None:
    """Timer A: 0.5, 1, 2 ... 16 s apart; timer B: over at 64 T1."""
    call = started()
    times = []
    while (due := call.next_tick()) is not None:
        call.tick(due)
        times.append(due)
    assert times == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 32.0]
    assert len(sent(call)) == 7
    assert call.take_events()[-1] == Ended("far_end", 408, "no answer to the INVITE within 32 s")


def test_a_provisional_answer_stops_the_retransmissions() -> None:
    """After 100 Trying the INVITE is not sent again, however long it rings."""
    call = started()
    (invite,) = sent(call)
    call.receive(answer(invite, 100), PEER, 0.1)
    assert (call.state, call.next_tick()) == (CallState.PROCEEDING, None)


def test_a_bye_slows_down_to_four_seconds() -> None:
    """Timer E: intervals grow to T2 and stay there, until timer F."""
    call, _ = answered()
    call.hang_up(0.0)
    times = []
    while (due := call.next_tick()) is not None:
        call.tick(due)
        times.append(due)
    assert times[:6] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5]
    assert call.state is CallState.ENDED


def test_a_cancel_waits_for_a_provisional_answer() -> None:
    """Hanging up before any answer sends nothing; the first 1xx brings the CANCEL."""
    call = started()
    (invite,) = sent(call)
    call.hang_up(0.1)
    assert sent(call) == []
    call.receive(answer(invite, 180), PEER, 0.2)
    (cancel,) = sent(call)
    assert cancel.method == "CANCEL"
    assert header(cancel.headers, "Via") == header(invite.headers, "Via")


def test_an_answer_that_crosses_the_cancel_is_ended_by_bye() -> None:
    """A 200 after our CANCEL is acknowledged and hung up."""
    call = started()
    (invite,) = sent(call)
    call.receive(answer(invite, 180), PEER, 0.1)
    call.hang_up(0.2)
    sent(call)
    call.receive(answer(invite, 200, body=SDP), PEER, 0.3)
    assert [request.method for request in sent(call)] == ["ACK", "BYE"]


def test_a_second_phone_that_answers_is_hung_up() -> None:
    """Two 200s with different tags, as a forking proxy may send: the second is ended."""
    call, invite = answered()
    sent(call)
    call.receive(answer(invite, 200, tag="other", body=SDP), PEER, 0.2)
    ack, bye = sent(call)
    assert (ack.method, bye.method) == ("ACK", "BYE")
    assert tag_of(header(bye.headers, "To") or "") == "other"
    assert call.state is CallState.ANSWERED


def test_requests_follow_the_recorded_route() -> None:
    """What comes after the answer goes to the proxy, with the far end's Contact as its address."""
    call, _ = answered(route="<sip:10.0.0.2:5062;lr>, <sip:10.0.0.1;lr>")
    ((data, destination),) = call.take_datagrams()
    ack = parse_message(data)
    assert isinstance(ack, Request)
    assert destination == ("10.0.0.1", 5060)
    assert ack.uri == f"sip:callee@{PEER[0]}:{PEER[1]}"
    routes = [value for name, value in ack.headers if name == "Route"]
    assert routes == ["<sip:10.0.0.1;lr>", "<sip:10.0.0.2:5062;lr>"]


def test_an_answer_without_usable_audio_is_hung_up() -> None:
    """A 200 whose SDP has no G.711 is acknowledged, ended and told."""
    call = started()
    (invite,) = sent(call)
    call.receive(answer(invite, 200, body=b"v=0\r\n"), PEER, 0.1)
    assert [request.method for request in sent(call)] == ["ACK", "BYE"]
    ended = call.take_events()[-1]
    assert isinstance(ended, Ended)
    assert "no audio stream" in ended.reason


@pytest.mark.parametrize(("status", "hint"), [(401, "password"), (407, "password"), (302, "moved")])
def test_refusals_that_need_something_say_what(status: int, hint: str) -> None:
    """A challenge or a redirection ends the call with what to do about it."""
    call = started()
    (invite,) = sent(call)
    call.receive(answer(invite, status), PEER, 0.1)
    assert [request.method for request in sent(call)] == ["ACK"]
    ended = call.take_events()[-1]
    assert isinstance(ended, Ended)
    assert hint in ended.reason


def test_a_bye_of_another_dialog_is_refused() -> None:
    """A BYE with wrong tags gets 481 and ends nothing."""
    call, _ = answered()
    call.take_datagrams()
    stranger = Dialog(
        call.call_id, "<sip:x@h>;tag=wrong", "<sip:y@h>;tag=1", "sip:y@h", (), PEER, PEER
    )
    call.receive(stranger.request("BYE", 1).to_bytes(), PEER, 0.2)
    ((data, _),) = call.take_datagrams()
    response = parse_message(data)
    assert isinstance(response, Response)
    assert (response.status, call.state) == (481, CallState.ANSWERED)


@given(data=st.binary(max_size=300))
def test_noise_changes_nothing(data: bytes) -> None:
    """Whatever bytes arrive, the call stays as it is."""
    call, _ = answered()
    call.take_events()
    call.receive(data, PEER, 0.2)
    assert (call.take_events(), call.state) == ([], CallState.ANSWERED)


def test_the_answer_tells_where_the_audio_goes() -> None:
    """The SDP of the 200 becomes an event."""
    call, _ = answered()
    (event,) = [event for event in call.take_events() if isinstance(event, Answered)]
    assert event.audio.port == 4002


def test_compact_and_folded_headers_are_read() -> None:
    """Short names and continued lines mean the same as the long form (RFC 3261 section 7.3)."""
    data = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP h\r\ni: 1@h\r\nCSeq: 1\r\n INVITE\r\n\r\n"
    message = parse_message(data)
    assert message is not None
    assert header(message.headers, "call-id") == "1@h"
    assert header(message.headers, "CSeq") == "1 INVITE"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sip:+12025550142@127.0.0.1:5080", SipUri("+12025550142", "127.0.0.1", 5080)),
        ("sip:example.org", SipUri(None, "example.org")),
        ("sip:a@[::1]:5070;transport=udp", SipUri("a", "::1", 5070, ";transport=udp")),
    ],
)
def test_sip_addresses_are_parsed(text: str, expected: SipUri) -> None:
    """User, host, port and parameters, IPv6 included."""
    assert parse_uri(text) == expected


@pytest.mark.parametrize("text", ["", "+12025550142", "sips:a@b", "sip:a@b:99999", "sip:a b@c d"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """A wrong address is named in the error."""
    with pytest.raises(SipUriError):
        parse_uri(text)


def test_a_name_may_hold_what_looks_like_an_address() -> None:
    """Only the angle brackets count."""
    assert uri_of('"sip:fake@x" <sip:real@y>;tag=1') == "sip:real@y"
    assert tag_of('"a;tag=no" <sip:real@y;tag=no>;tag=yes') == "yes"
