"""What the gateway says to requests other than a plain INVITE, and to INVITEs that ask for more."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace

import pytest
from livekit import api

from local.caller.call import open_call
from local.caller.sip_message import Headers, Request, Response, header, tag_of
from sip.gateway import Patience
from tests.parity.raw_phone import RawPhone, sdp
from tests.peers.calls import new_number
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.raw_line import RawLine, both_are_heard, ended_once, media_of
from tests.sip.gateway.room_side import agent_for
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

SIGNAL: Headers = (("Content-Type", "application/dtmf-relay"),)
REFER: Headers = (("Refer-To", "<sip:+19005550100@127.0.0.1>"),)
INSIDE: list[tuple[str, bytes, Headers, int]] = [
    ("OPTIONS", b"", (), 200),
    ("INFO", b"Signal=5\r\nDuration=160\r\n", SIGNAL, 200),
    ("INFO", b"7", (("Content-Type", "application/dtmf"),), 488),
    ("MESSAGE", b"hello", (("Content-Type", "text/plain"),), 501),
    ("SUBSCRIBE", b"", (("Event", "presence"),), 481),
    ("PRACK", b"", (("RAck", "1 1 INVITE"),), 481),
    ("PUBLISH", b"", (), 501),
    ("UNHEARD-OF", b"", (), 501),
]
OUTSIDE = {
    "OPTIONS": 200,
    "REGISTER": 501,
    "MESSAGE": 501,
    "SUBSCRIBE": 405,
    "REFER": 501,
    "PUBLISH": 501,
    "UNHEARD-OF": 501,
    "INFO": 481,
    "BYE": 481,
    "UPDATE": 481,
    "CANCEL": 481,
}


async def test_requests_inside_a_call_are_answered_and_do_not_disturb_it(
    raw_line: RawLine,
) -> None:
    """A digit by SIP INFO arrives; what the gateway cannot do is refused; the sound goes on."""
    async with raw_line.answered() as (phone, agent):
        for method, body, extra, status in INSIDE:
            answer = await phone.final(phone.inside(method, body, extra))
            assert (method, answer.status) == (method, status)
        await agent.until(lambda: bool(agent.digits))
        assert agent.digits == ["5"]
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)


async def test_a_refer_makes_the_gateway_call_nobody(raw_line: RawLine) -> None:
    """The library says 202, then a NOTIFY ends the subscription as refused; the call goes on."""
    async with raw_line.answered() as (phone, agent):
        assert (await phone.final(phone.inside("REFER", extra=REFER))).status == 202
        done: list[Request] = []

        def refused() -> bool:
            done[:] = [
                one
                for one in phone.requests("NOTIFY")
                if "terminated" in (header(one.headers, "Subscription-State") or "")
            ]
            return bool(done)

        await phone.until(lambda: bool(phone.requests("NOTIFY")))
        phone.answer(phone.requests("NOTIFY")[0], 200, "OK")
        await phone.until(refused)
        assert done[0].body.startswith(b"SIP/2.0 603 ")
        phone.answer(done[0], 200, "OK")
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_requests_outside_of_a_call_are_answered(raw_line: RawLine, transport: str) -> None:
    """OPTIONS is 200 and offers audio alone; nobody can register, subscribe or send text."""
    async with raw_line.phone(transport) as phone:
        for method, status in OUTSIDE.items():
            phone.cseq += 1
            request = phone.request(method, LINE)
            phone.send(request)
            answer = await phone.final(request)
            assert (method, answer.status) == (method, status)
            assert not [line for line in media_of(answer) if line.startswith("m=video")]


async def refusal_of(phone: RawPhone, body: bytes | None = None, extra: Headers = ()) -> Response:
    """Return the refusal of an INVITE, acknowledged."""
    answer = await phone.final(phone.invite(LINE, body, extra))
    phone.ack_refusal(answer)
    return answer


@pytest.mark.parametrize(
    ("extra", "status", "unsupported"),
    [
        ((("Require", "nothing-at-all"),), 420, "nothing-at-all"),
        ((("Require", "100rel"),), 420, "100rel"),
        ((("Require", "timer"),), 420, "timer"),
        ((("Replaces", "nobody;to-tag=1;from-tag=2"),), 481, None),
    ],
)
async def test_what_an_invite_requires_and_we_lack_is_named(
    raw_line: RawLine, extra: Headers, status: int, unsupported: str | None
) -> None:
    """420 with Unsupported (RFC 3261 section 8.2.2.3), 481 for a dialog to replace; no room."""
    async with raw_line.phone() as phone:
        answer = await refusal_of(phone, extra=extra)
        assert (answer.status, header(answer.headers, "Unsupported")) == (status, unsupported)
        assert await raw_line.rooms(phone) == []


SRTP = ("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",)
PARTS = (
    b"--b\r\nContent-Type: application/sdp\r\n\r\n%s\r\n--b\r\n"
    b"Content-Type: application/isup;version=x\r\n\r\nxxxx\r\n--b--\r\n"
)


async def test_media_that_the_gateway_cannot_do_is_refused(raw_line: RawLine) -> None:
    """488 for G.722 or G.729 alone and for SRTP; 500 for SDP within a multipart body; no room."""
    async with raw_line.phone() as phone:
        port = phone.media_port
        cases: list[tuple[bytes, Headers, int]] = [
            (sdp(port, types=(9,)), (), 488),
            (sdp(port, types=(18,)), (), 488),
            (sdp(port, protocol="RTP/SAVP", lines=SRTP), (), 488),
            (PARTS % sdp(port), (("Content-Type", "multipart/mixed;boundary=b"),), 500),
        ]
        for number, (body, extra, status) in enumerate(cases):
            phone.call_id, phone.tag = f"{phone.call_id}{number}", f"{phone.tag}{number}"
            assert (await refusal_of(phone, body, extra)).status == status
        assert await raw_line.rooms(phone) == []


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_an_invite_without_sdp_is_offered_audio_alone(
    raw_line: RawLine, transport: str
) -> None:
    """Late offer (RFC 3261 section 13.2.1): the offer is in the 200, the answer in the ACK."""
    async with raw_line.call(transport, body=b"") as (phone, agent):
        offered = await phone.established(ack=False)
        assert [line for line in media_of(offered) if line.startswith("m=")] == [
            f"m=audio {phone.media_to[1] if phone.media_to else 0} RTP/AVP 0 8 101"
        ]
        phone.ack(sdp(phone.media_port))
        await agent.until(lambda: agent.statuses == ["active"])
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)


@pytest.mark.parametrize("payload_type", [0, 8], ids=["PCMU", "PCMA"])
async def test_a_video_stream_that_is_offered_is_refused_in_the_answer(
    raw_line: RawLine, payload_type: int
) -> None:
    """A peer with one audio codec and a camera: m=video 0, and no re-INVITE afterwards."""
    async with raw_line.phone() as phone:
        offer = sdp(phone.media_port, types=(payload_type,))
        phone.payload_type = payload_type
        phone.invite(LINE, offer + b"m=video 5004 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n")
        async with raw_line.agent(phone) as agent:
            answer = await phone.established()
            streams = [line.split() for line in media_of(answer) if line.startswith("m=")]
            assert streams[0][3:] == [str(payload_type), "101"]
            assert streams[1][:2] == ["m=video", "0"]
            await both_are_heard(phone, agent)
            await phone.bye()
            await ended_once(phone, agent)


async def test_a_call_can_be_taken_over_by_an_invite_that_replaces_it(raw_line: RawLine) -> None:
    """Replaces (RFC 3891), for an attended transfer to us: the old call ends, a new one rings."""
    async with raw_line.answered() as (phone, agent), raw_line.phone() as other:
        assert phone.dialog is not None
        tags = f"to-tag={tag_of(phone.dialog.called)};from-tag={phone.tag}"
        other.invite(LINE, extra=(("Replaces", f"{phone.call_id};{tags}"),))
        await phone.asked("BYE")
        await ended_once(phone, agent)
        async with raw_line.agent(other) as second:
            await other.established()
            await both_are_heard(other, second)
            await other.bye()
            await ended_once(other, second)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_spelling_and_size_of_headers_do_not_matter(
    raw_line: RawLine, transport: str
) -> None:
    """Compact forms, lower case, a folded line and 6 kB of headers that nobody knows."""
    async with raw_line.phone(transport) as phone:
        plain = phone.request("INVITE", LINE, sdp(phone.media_port))
        short = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Content-Type": "c"}
        named = [(short.get(name, name.lower()), value) for name, value in plain.headers]
        more = [("X-Long", "a" * 3000), *((f"X-Unknown-{n}", "b" * 40) for n in range(50))]
        phone.invited = plain
        phone.send(replace(plain, headers=(*named, ("Subject", "one\r\n two"), *more)))
        async with raw_line.agent(phone) as agent:
            await phone.established()
            await both_are_heard(phone, agent)
            assert agent.caller.attributes["sip.callIDFull"] == phone.call_id
            await phone.bye()
            await ended_once(phone, agent)


async def test_an_invite_longer_than_8_kb_is_refused_and_the_log_says_why(
    raw_line: RawLine, caplog: pytest.LogCaptureFixture
) -> None:
    """By TCP, for by UDP the library cannot read it: 486, no room, and no wrong suspicion."""
    async with raw_line.phone("TCP") as phone:
        assert (await refusal_of(phone, extra=(("X-Long", "a" * 9000),))).status == 486
        assert await raw_line.rooms(phone) == []
    (refused,) = (one for one in caplog.messages if "gateway refused a call" in one)
    assert "8 kB" in refused


async def test_a_phone_that_names_an_address_behind_nat_is_warned_of(
    raw_line: RawLine, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with both addresses; a phone that names the one it calls from is not."""
    for connection in ("127.0.0.1", "10.255.255.1"):
        async with raw_line.phone() as phone:
            phone.invite(LINE, sdp(phone.media_port, connection=connection))
            await raw_line.room(phone)
            phone.cancel()
            phone.ack_refusal(await phone.final(phone.invited))
    (warned,) = (one for one in caplog.records if "behind NAT" in one.message)
    assert vars(warned)["audio_at"] == "10.255.255.1"
    assert vars(warned)["sources"] == ["127.0.0.1"]


@pytest.mark.parametrize("raw_line", [Patience(company=0.3)], indirect=True)
async def test_a_call_through_a_border_controller_takes_the_route_that_it_recorded(
    raw_line: RawLine,
) -> None:
    """Record-Route comes back in the 200; the gateway's BYE goes that way, with Route."""
    async with raw_line.phone() as phone:
        host, port = phone.address
        routes = (f"<sip:{host}:{port};lr;n=2>", "<sip:192.0.2.1;lr;n=1>")
        elsewhere = ("Contact", "<sip:caller@192.0.2.2:5099>")
        extra: Headers = (*(("Record-Route", route) for route in routes), elsewhere)
        phone.invite(LINE, extra=extra)
        async with raw_line.agent(phone) as agent:
            answer = await phone.final(phone.invited)
            returned = [v for n, v in answer.headers if n.lower() == "record-route"]
            assert returned == [*routes]
            await phone.established()
            await agent.until(lambda: agent.statuses == ["active"])
            await agent.room.disconnect()
            bye = await phone.asked("BYE")
            assert bye.uri.startswith("sip:caller@192.0.2.2:5099")
            assert [v for n, v in bye.headers if n.lower() == "route"] == [*routes]


async def test_tls_is_not_offered(raw_line: RawLine) -> None:
    """A TLS handshake at the SIP port ends without a connection."""
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    # Left without an answer, or, once the library has taken it for SIP, reset.
    with pytest.raises((ConnectionAbortedError, ConnectionResetError)):
        await asyncio.open_connection(*raw_line.gateway, ssl=unverified, ssl_handshake_timeout=0.5)
    async with raw_line.phone("TCP") as phone:
        request = phone.request("OPTIONS", LINE)
        phone.send(request)
        assert (await phone.final(request)).status == 200


async def test_the_gateway_has_no_sip_api(raw_line: RawLine) -> None:
    """It can neither dial out nor transfer: livekit-server, without Redis, has nobody to ask."""
    async with raw_line.answered() as (phone, agent):
        sip, room = raw_line.server.sip, agent.room.name
        dial = api.CreateSIPParticipantRequest(
            sip_trunk_id="ST_gateway", sip_call_to="+12025550177", room_name=room
        )
        with pytest.raises(api.ServerError, match="sip not connected"):
            await sip.create_sip_participant(dial)
        transfer = api.TransferSIPParticipantRequest(
            participant_identity=agent.caller.identity,
            room_name=room,
            transfer_to="tel:+12025550177",
        )
        with pytest.raises(api.ServerError, match="no response from servers"):
            await sip.transfer_sip_participant(transfer)
        assert phone.requests("REFER") == []


async def test_a_call_by_ipv6_is_answered(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """Signalling and audio at ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    caller = new_number()
    async with (
        run_gateway(host="::1", allowed=("::1/128",)) as address,
        open_call(address.uri(LINE), caller=caller) as phone,
        agent_for(server, access, caller) as agent,
    ):
        await phone.wait_for_answer()
        await agent.until(lambda: agent.statuses == ["active"])
        await agent.say_tone(0.3)
        await asyncio.wait_for(asyncio.shield(phone.hearing.first), 10)
