"""Messages that cross, come twice, late or never: one INVITE is one call with one end."""

from __future__ import annotations

import asyncio

import psutil  # type: ignore[import-untyped]  # it has no types; livekit-agents brings it
import pytest

from local.caller.dialog import Dialog
from tests.sip.gateway.conftest import LINE
from tests.sip.gateway.raw_line import RawLine, both_are_heard, ended_once

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]


async def test_messages_that_come_again_make_no_second_call(raw_line: RawLine) -> None:
    """INVITE four times is one room and one answer; each BYE, also after the end, gets its 200."""
    async with raw_line.phone() as phone:
        invite = phone.invite(LINE)
        phone.send(invite)
        phone.send(invite)
        async with raw_line.agent(phone) as agent:
            await phone.established()
            phone.send(invite)
            await both_are_heard(phone, agent)
            assert len(await raw_line.rooms(phone)) == 1
            bye = phone.inside("BYE")
            phone.send(bye)
            await phone.until(lambda: len(phone.answers(bye)) == 2)
            await ended_once(phone, agent, ("active", "hangup"))
            phone.send(bye)
            await phone.until(lambda: len(phone.answers(bye)) == 3)
        assert {answer.status for answer in phone.answers(bye)} == {200}
        answers = [answer for answer in phone.answers(invite) if answer.status == 200]
        assert len({answer.to_bytes() for answer in answers}) == 1


async def test_a_bye_before_the_ack_ends_the_call(raw_line: RawLine) -> None:
    """The phone hangs up right after the 200: the room sees one end, and never an active call."""
    async with raw_line.call() as (phone, agent):
        await phone.established(ack=False)
        assert (await phone.bye()).status == 200
        await ended_once(phone, agent)
        assert agent.statuses == ["hangup"]


async def test_a_bye_before_the_answer_ends_the_call(raw_line: RawLine) -> None:
    """BYE in the early dialog (RFC 3261 section 15): 200 for it, 487 for the INVITE, no room."""
    async with raw_line.phone() as phone:
        invite = phone.invite(LINE)
        await raw_line.room(phone)
        ringing = phone.answers(invite)[0]
        # No early media, so nothing that the ACK of a provisional answer (PRACK) could be for.
        assert (ringing.status, ringing.body) == (180, b"")
        phone.dialog = Dialog.from_answer(invite, ringing, phone.address, phone.gateway)
        assert (await phone.bye()).status == 200
        refusal = await phone.final(invite)
        assert refusal.status == 487
        phone.ack_refusal(refusal)
        await raw_line.until_no_room(phone)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_cancel_right_behind_the_invite_leaves_nothing(
    raw_line: RawLine, transport: str
) -> None:
    """CANCEL comes before the gateway has seen the call: 487, and the next call is answered."""
    async with raw_line.phone(transport) as phone:
        invite = phone.invite(LINE)
        phone.cancel()
        refusal = await phone.final(invite)
        assert refusal.status == 487
        phone.ack_refusal(refusal)
    async with raw_line.answered(transport) as (other, agent):
        await raw_line.until_no_room(phone)
        await other.bye()
        await ended_once(other, agent)


async def test_a_cancel_that_crosses_the_answer_comes_too_late(raw_line: RawLine) -> None:
    """The 200 has left: CANCEL is answered 200 and changes nothing (RFC 3261 section 9.2)."""
    async with raw_line.call() as (phone, agent):
        await phone.final(phone.invited)
        phone.cancel()
        await phone.established()
        await agent.until(lambda: agent.statuses == ["active"])
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent, ("active", "hangup"))


async def test_a_refusal_comes_again_until_its_ack(raw_line: RawLine) -> None:
    """The ACK of the 487 got lost: the gateway sends it again, and then no more."""
    async with raw_line.phone() as phone:
        invite = phone.invite(LINE)
        await raw_line.room(phone)
        phone.cancel()
        refusal = await phone.final(invite)
        twice = 2

        def refusals() -> int:
            return [answer.status for answer in phone.answers(invite)].count(487)

        await phone.until(lambda: refusals() == twice)
        phone.ack_refusal(refusal)
        with pytest.raises(TimeoutError):
            await phone.until(lambda: refusals() > twice, timeout=1.2)


async def test_the_greeting_waits_for_a_late_ack(raw_line: RawLine) -> None:
    """The 200 comes again until its ACK; only then the agent may speak, and is heard at once."""
    async with raw_line.call() as (phone, agent):
        answer = await phone.established(ack=False)
        await phone.until(lambda: phone.answers(phone.invited).count(answer) > 2)
        assert agent.statuses == []
        phone.ack()
        await agent.until(lambda: agent.statuses == ["active"])
        sent = phone.answers(phone.invited).count(answer)
        await both_are_heard(phone, agent)
        await phone.bye()
        await ended_once(phone, agent, ("active", "hangup"))
        assert phone.answers(phone.invited).count(answer) == sent


def rtp_ports() -> set[int]:
    """Return the ports of the gateway's range that this process holds."""
    found = psutil.Process().net_connections(kind="udp")
    return {one.laddr.port for one in found if 24000 <= one.laddr.port <= 24400}


async def test_no_port_and_no_task_outlives_its_call(raw_line: RawLine) -> None:
    """Cancelled, hung up early, too early or properly: the gateway is as it was before."""
    tasks_before = len(asyncio.all_tasks())
    assert rtp_ports() == set()
    async with raw_line.phone() as phone:
        invite = phone.invite(LINE)
        await raw_line.room(phone)
        assert rtp_ports() != set()
        phone.cancel()
        phone.ack_refusal(await phone.final(invite))
    async with raw_line.call() as (phone, agent):
        await phone.established(ack=False)
        await phone.bye()
        await ended_once(phone, agent)
    async with raw_line.answered() as (phone, agent):
        await phone.bye()
        await ended_once(phone, agent)
    async with asyncio.timeout(10):
        while rtp_ports() or len(asyncio.all_tasks()) > tasks_before:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.02)
