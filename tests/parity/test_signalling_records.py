"""Calls that do not go by the book: each leaves one record with the right end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from livekit import api

from local.parts.stack import Stack
from tests.parity.gateway_process import spawned_gateway
from tests.parity.long_calls import held_for_long, never_acknowledged, phone_of, recorded
from tests.parity.raw_phone import RawPhone, raw_phone, sdp
from tests.peers.calls import new_number, records, wait_for_record
from tests.peers.phones import needs_livekit_sip
from thirdring.access import LiveKitAccess
from thirdring.calls import EndReason
from thirdring.journal import read
from thirdring.record import Record

pytestmark = [pytest.mark.server, pytest.mark.timeout(180)]


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
    # Of a job that was killed livekit-server shows the agent for 20 s and keeps its room for 20 s
    # more: an answered call's room is the job's to delete.
    async with api.LiveKitAPI(*keys) as server, asyncio.timeout(60):
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


@asynccontextmanager
async def call_by_own_gateway(
    stack: Stack, *, media: int = 15
) -> AsyncIterator[tuple[RawPhone, subprocess.Popen[str]]]:
    """Place a call that is greeted, by one more gateway of the same home, which may be killed."""
    access = LiveKitAccess.from_environment(stack.environ)
    spawned = spawned_gateway(access, stack.home, media=media)
    # Others talk meanwhile: nothing may hold the loop up.
    address, process = await asyncio.to_thread(spawned.__enter__)
    try:
        async with raw_phone((address.host, address.port), new_number()) as phone:
            phone.invite(stack.number)
            await phone.established()
            await phone.hears()
            yield phone, process
            await wait_for_record(stack, phone.caller)
    finally:
        # It would wait for the end of SIP transactions, 5 s (RFC 3261 section 17.2.1).
        process.kill()
        await asyncio.to_thread(spawned.__exit__, None, None, None)


async def without_sound(stack: Stack) -> str:
    """Send no RTP any more."""
    async with call_by_own_gateway(stack, media=1) as (phone, _):
        phone.muted = True
        await phone.asked("BYE")
    return phone.caller


async def gateway_killed(stack: Stack) -> str:
    """Lose the gateway by -9."""
    async with call_by_own_gateway(stack) as (phone, process):
        process.kill()
    return phone.caller


async def gateway_stopped(stack: Stack) -> str:
    """Be hung up on by a gateway that is stopped."""
    async with call_by_own_gateway(stack) as (phone, process):
        assert process.stdin is not None
        process.stdin.close()
        await phone.asked("BYE")
    return phone.caller


async def job_killed(stack: Stack) -> str:
    """Lose the job by -9; BYE comes in seconds, though the agent is shown for 20 s more."""
    async with call_by_own_gateway(stack) as (phone, _):
        for path in stack.home.journals.glob("*.jsonl"):
            contents = read(path)
            if contents.opened is not None and contents.opened.leg.caller == phone.caller:
                assert contents.job is not None
                os.kill(contents.job.pid, signal.SIGKILL)
        await phone.asked("BYE", timeout=10)
    return phone.caller


async def calls_that_break(stack: Stack) -> list[Record]:
    """Play the stories in which sound or a process stops, and check what the records say of it."""
    stories = (without_sound, gateway_killed, gateway_stopped, job_killed)
    found = [await recorded(stack, story) for story in stories]
    assert [(record.ending.reason, record.ending.detail) for record in found] == [
        (EndReason.MEDIA_TIMEOUT, "no RTP from the caller"),
        (EndReason.INTERRUPTED, "the gateway has died"),
        (EndReason.WORKER_STOPPED, "gateway stopped"),
        (EndReason.INTERRUPTED, found[3].ending.detail),
    ]
    assert all(record.answered_at for record in found)
    return found


async def test_each_call_leaves_one_record_with_the_right_end(stack: Stack) -> None:
    """Hold, messages twice, late or never, no sound any more, a process that dies: one of each."""

    async def others() -> list[Record]:
        return [*await short_calls(stack), *await calls_that_break(stack)]

    held, silent, rest = await asyncio.gather(
        recorded(stack, held_for_long), recorded(stack, never_acknowledged), others()
    )
    assert held.ending.reason is EndReason.CALLER_HUNG_UP
    assert silent.ending.reason is EndReason.ABANDONED
    await nothing_is_left(stack, [held, silent, *rest])


@pytest.mark.parametrize("side", [pytest.param("livekit_sip_stack", marks=needs_livekit_sip)])
async def test_livekit_sip_leaves_the_same_records(
    side: str, request: pytest.FixtureRequest
) -> None:
    """Hold, messages twice and late, without the two calls that livekit-sip treats differently."""
    running: Stack = request.getfixturevalue(side)
    await nothing_is_left(running, await short_calls(running))
