"""Hold, resume and the other changes inside a call: re-INVITE and UPDATE."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from local.caller.dialog import ack_of_refusal
from local.caller.sip_message import Headers
from sip.gateway import Patience
from tests.parity.raw_phone import raw_media, sdp
from tests.sip.gateway.raw_line import RawLine, both_are_heard, ended_once, media_of

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

HOLDS: dict[str, Callable[[int, int], bytes]] = {
    "sendonly": lambda port, version: sdp(port, version=version, lines=("a=sendonly",)),
    "inactive": lambda port, version: sdp(port, version=version, lines=("a=inactive",)),
    # RFC 2543, and both at once as RFC 3264 section 8.4 advises.
    "address": lambda port, version: sdp(port, version=version, connection="0.0.0.0"),
    "both": lambda port, version: sdp(
        port, version=version, connection="0.0.0.0", lines=("a=sendonly",)
    ),
}
ANSWERS = {"sendonly": "a=recvonly", "inactive": "a=inactive", "address": "a=sendrecv"}
TIMER: Headers = (("Supported", "timer"), ("Session-Expires", "90;refresher=uac"))


@pytest.mark.parametrize(("transport", "kinds"), [("UDP", [*HOLDS]), ("TCP", ["sendonly"])])
async def test_a_held_phone_gets_no_audio_and_the_call_goes_on_after(
    raw_line: RawLine, transport: str, kinds: list[str]
) -> None:
    """By direction and by the address 0.0.0.0: silence on the wire, then both are heard again."""
    async with raw_line.answered(transport) as (phone, agent):
        for kind in kinds:
            held = await phone.reinvite(HOLDS[kind](phone.media_port, phone.cseq))
            assert (held.status, ANSWERS.get(kind, "a=recvonly") in media_of(held)) == (200, True)
            await phone.until_quiet()
            before = len(phone.heard)
            await agent.say_tone(0.2)
            assert len(phone.heard) == before
            resumed = await phone.reinvite(sdp(phone.media_port, version=phone.cseq))
            assert "a=sendrecv" in media_of(resumed)
            await both_are_heard(phone, agent)
        assert (await phone.bye()).status == 200
        await ended_once(phone, agent, ("active", "hangup"))


@pytest.mark.parametrize("raw_line", [Patience(media=1)], indirect=True)
async def test_a_held_call_outlives_the_rtp_timeout_and_a_resumed_one_does_not(
    raw_line: RawLine,
) -> None:
    """Held, a phone may be silent for longer than allowed; resumed and silent it gets BYE."""

    async def hold(kind: str) -> None:
        async with raw_line.answered() as (phone, agent):
            await phone.reinvite(HOLDS[kind](phone.media_port, 2))
            phone.muted = True
            with pytest.raises(TimeoutError):
                await phone.asked("BYE", timeout=2.5)
            await phone.reinvite(sdp(phone.media_port, version=3))
            await phone.asked("BYE")
            await ended_once(phone, agent)

    async with asyncio.TaskGroup() as held:
        held.create_task(hold("sendonly"))
        held.create_task(hold("address"))


async def test_update_holds_and_resumes_as_well(raw_line: RawLine) -> None:
    """UPDATE with SDP (RFC 3311) is answered with SDP, and obeyed."""
    async with raw_line.answered() as (phone, agent):
        held = await phone.final(
            phone.inside("UPDATE", sdp(phone.media_port, version=2, lines=("a=sendonly",)))
        )
        assert (held.status, "a=recvonly" in media_of(held)) == (200, True)
        await phone.until_quiet()
        resumed = await phone.final(phone.inside("UPDATE", sdp(phone.media_port, version=3)))
        assert (resumed.status, "a=sendrecv" in media_of(resumed)) == (200, True)
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)


async def test_a_session_timer_of_the_caller_is_served_by_reinvite_and_by_update(
    raw_line: RawLine,
) -> None:
    """Refreshes of RFC 4028, the phone as refresher, are answered 200, and the sound goes on."""
    async with raw_line.call(extra=TIMER) as (phone, agent):
        await phone.established()
        same = await phone.reinvite(sdp(phone.media_port), TIMER)
        assert (same.status, "a=sendrecv" in media_of(same)) == (200, True)
        assert (await phone.final(phone.inside("UPDATE", extra=TIMER))).status == 200
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)


async def test_a_reinvite_moves_the_audio_to_another_port_codec_and_packet_time(
    raw_line: RawLine,
) -> None:
    """From PCMU in 20 ms to PCMA in 40 ms at another port, both ways."""
    async with raw_line.answered() as (phone, agent), raw_media(phone) as port:
        moved = await phone.reinvite(sdp(port, types=(8,), version=2, lines=("a=ptime:40",)))
        assert "a=ptime:40" in media_of(moved)
        phone.payload_type = 8
        phone.heard.clear()
        await both_are_heard(phone, agent)
        assert {(kind, len(data)) for _, kind, data in phone.heard} == {(8, 320)}
        await phone.bye()
        await ended_once(phone, agent)


async def test_a_reinvite_without_sdp_is_offered_audio_alone(raw_line: RawLine) -> None:
    """The offer is in the 200 and its answer in the ACK; there is no video in it to refuse."""
    async with raw_line.answered() as (phone, agent):
        offered = await phone.final(phone.inside("INVITE"))
        assert [line.split()[0] for line in media_of(offered) if line.startswith("m=")] == [
            "m=audio"
        ]
        phone.ack(sdp(phone.media_port, version=2), cseq=phone.cseq)
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)


async def test_reinvites_that_cannot_be_met_leave_the_call_as_it_was(raw_line: RawLine) -> None:
    """Nonsense gets 488, an old CSeq 500; one without G.711 is answered with keys alone."""
    async with raw_line.answered() as (phone, agent):
        assert (await phone.reinvite(b"v=0\r\nhello\r\n")).status == 488
        late = phone.inside("INVITE", sdp(phone.media_port, version=2), cseq=1)
        refused = await phone.final(late)
        assert refused.status == 500
        phone.send(ack_of_refusal(late, refused))
        wide = await phone.reinvite(sdp(phone.media_port, types=(9,), version=3))
        assert (wide.status, media_of(wide)[0].split()[3:]) == (200, ["101"])
        await phone.reinvite(sdp(phone.media_port, version=4))
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)


async def test_two_reinvites_at_once_are_both_answered(raw_line: RawLine) -> None:
    """The second comes before the first one's ACK: 200 to each, and the call goes on."""
    async with raw_line.answered() as (phone, agent):
        first = phone.inside("INVITE", sdp(phone.media_port, version=2))
        second = phone.inside("INVITE", sdp(phone.media_port, version=3))
        answers = await asyncio.gather(phone.final(first), phone.final(second))
        assert [answer.status for answer in answers] == [200, 200]
        phone.ack(cseq=phone.cseq - 1)
        phone.ack(cseq=phone.cseq)
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent)
