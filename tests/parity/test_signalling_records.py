"""Calls whose messages come late, twice or never: each leaves one record with the right end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from livekit import api

from local.parts.stack import Stack
from tests.parity.long_calls import held_for_long, never_acknowledged, phone_of, recorded
from tests.parity.raw_phone import sdp
from tests.peers.calls import records
from tests.peers.phones import needs_livekit_sip
from thirdring.calls import EndReason
from thirdring.record import Record

pytestmark = [pytest.mark.server, pytest.mark.timeout(90)]


async def held_and_resumed(stack: Stack) -> str:
    """Hear the greeting, hold, resume, hang up."""
    async with phone_of(stack) as phone:
        phone.invite(stack.number)
        await phone.established()
        await phone.hears()
        await phone.reinvite(sdp(phone.media_port, version=2, lines=("a=sendonly",)))
        await phone.until_quiet()
        await phone.reinvite(sdp(phone.media_port, version=3))
        await phone.until(lambda: phone.heard[-1][0] > phone.inbox[-1][0])
        await phone.bye()
        return phone.caller


async def everything_twice(stack: Stack) -> str:
    """Send INVITE, ACK and BYE more than once."""
    async with phone_of(stack) as phone:
        invite = phone.invite(stack.number)
        phone.send(invite)
        await phone.established()
        phone.send(invite)
        phone.ack()
        await phone.hears()
        bye = phone.inside("BYE")
        phone.send(bye)
        await phone.final(bye)
        return phone.caller


async def hung_up_before_the_ack(stack: Stack) -> str:
    """Send BYE where the ACK would be."""
    async with phone_of(stack) as phone:
        phone.invite(stack.number)
        await phone.established(ack=False)
        await phone.bye()
        return phone.caller


async def acknowledged_late(stack: Stack) -> str:
    """Lose the first two ACKs."""
    async with phone_of(stack) as phone:
        invite = phone.invite(stack.number)
        answer = await phone.established(ack=False)
        await phone.until(lambda: phone.answers(invite).count(answer) > 1)
        phone.ack()
        await phone.hears()
        await phone.bye()
        return phone.caller


async def nothing_is_left(stack: Stack, found: Sequence[Record]) -> None:
    """Check that there is no second record of a call, and wait until no room of one is left."""
    callers = [record.caller_number or "nobody" for record in found]
    assert [len(records(stack, caller)) for caller in callers] == [1] * len(found)
    keys = (stack.environ[f"LIVEKIT_{name}"] for name in ("URL", "API_KEY", "API_SECRET"))
    async with api.LiveKitAPI(*keys) as server, asyncio.timeout(30):
        while True:
            rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
            if not any(caller in room.name for room in rooms for caller in callers):
                return
            await asyncio.sleep(0.05)


async def short_calls(stack: Stack) -> list[Record]:
    """Play the stories that end soon, two at a time, and check how the records say they ended."""
    found: list[Record] = []
    for pair in (
        (held_and_resumed, everything_twice),
        (hung_up_before_the_ack, acknowledged_late),
    ):
        found += await asyncio.gather(*(recorded(stack, story) for story in pair))
    reasons = [record.ending.reason for record in found]
    # livekit-sip does not wait for the ACK.
    assert reasons.pop(2) in (EndReason.ABANDONED, EndReason.CALLER_HUNG_UP)
    assert reasons == [EndReason.CALLER_HUNG_UP] * 3
    return found


async def test_each_call_leaves_one_record_with_the_right_end(stack: Stack) -> None:
    """Hold, messages twice and late; an old-style hold of 17 s goes on, no ACK ends after 32 s."""
    held, silent, short = await asyncio.gather(
        recorded(stack, held_for_long), recorded(stack, never_acknowledged), short_calls(stack)
    )
    assert held.ending.reason is EndReason.CALLER_HUNG_UP
    assert silent.ending.reason is EndReason.ABANDONED
    await nothing_is_left(stack, [held, silent, *short])


@pytest.mark.parametrize("side", [pytest.param("livekit_sip_stack", marks=needs_livekit_sip)])
async def test_livekit_sip_leaves_the_same_records(
    side: str, request: pytest.FixtureRequest
) -> None:
    """Hold, messages twice and late, without the two calls that livekit-sip treats differently."""
    running: Stack = request.getfixturevalue(side)
    await nothing_is_left(running, await short_calls(running))
