"""Whole calls: a phone on raw UDP, the gateway, a real livekit-server, an agent in the room."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest
from livekit import api, rtc

from sip.gateway import GatewayAddress, Patience
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import Agent, agent_for, next_dispatch, room_of, until_gone
from tests.sip.gateway.sip_phone import Phone, calling_from, tone
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

CLIENT_INITIATED = rtc.DisconnectReason.CLIENT_INITIATED


class Bench:
    """Opens phones and agents on one gateway, and closes all of them."""

    def __init__(
        self, stack: AsyncExitStack, address: GatewayAddress, server: api.LiveKitAPI
    ) -> None:
        self.stack = stack
        self.address = address
        self.server = server

    async def phone(self, caller: str, *, host: str = "127.0.0.1", payload_type: int = 0) -> Phone:
        address = (self.address.host, self.address.port)
        return await self.stack.enter_async_context(
            calling_from(host, address, caller=caller, payload_type=payload_type)
        )

    async def call(
        self, caller: str, access: LiveKitAccess, *, payload_type: int = 0
    ) -> tuple[Phone, Agent]:
        """Return both ends of an answered call."""
        phone = await self.phone(caller, payload_type=payload_type)
        phone.invite(LINE)
        agent = await self.stack.enter_async_context(agent_for(self.server, access, caller))
        assert (await phone.final()).status == 200
        await agent.until(lambda: agent.statuses == ["active"])
        return phone, agent


async def test_the_participant_has_the_shape_that_livekit_sip_gives(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """Identity, name, kind, source and attributes are those measured with livekit-sip."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        phone, agent = await bench.call("+15550101", access)
        caller = agent.caller
        assert (caller.identity, caller.name) == ("sip_+15550101", "Phone +15550101")
        assert caller.kind == rtc.ParticipantKind.PARTICIPANT_KIND_SIP
        assert caller.attributes["sip.callID"].startswith("SCL_")
        expected = {
            "sip.callIDFull": phone.call_id,
            "sip.callTag": phone.tag,
            "sip.callStatus": "active",
            "sip.phoneNumber": "+15550101",
            "sip.trunkPhoneNumber": LINE,
            "sip.trunkID": "ST_gateway",
            "sip.ruleID": "SDR_gateway",
            "sip.hostname": "127.0.0.1",
        }
        assert expected.items() <= dict(caller.attributes).items()
        (publication,) = caller.track_publications.values()
        assert publication.source == rtc.TrackSource.SOURCE_MICROPHONE


@pytest.mark.parametrize("payload_type", [0, 8], ids=["PCMU", "PCMA"])
async def test_audio_passes_both_ways(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, payload_type: int
) -> None:
    """A loud tone of either side is loud at the other, in both codecs."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        phone, agent = await bench.call(
            f"+1555012{payload_type}", access, payload_type=payload_type
        )
        phone.voice = tone(400, payload_type)
        await agent.until(lambda: agent.loudest > 8000)
        heard = asyncio.create_task(phone.hears(payload_type, 90))
        await agent.say_tone(0.5)
        await heard


async def test_digits_pass_both_ways(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """RFC 4733 events of the caller reach the agent once each; the agent's reach the phone."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        phone, agent = await bench.call("+15550103", access)
        for digit in "5#":
            phone.press(digit)
        await agent.until(lambda: len(agent.digits) >= 2)
        assert agent.digits == ["5", "#"]
        heard = asyncio.create_task(phone.hears(101, 0))
        await agent.room.local_participant.publish_dtmf(code=7, digit="7")
        await heard
        assert next(payload for _, kind, payload in phone.rtp if kind == 101)[0] == 7


async def test_bye_tells_the_room_hangup_and_then_leaves(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """BYE: `hangup`, then CLIENT_INITIATED, within a second."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        phone, agent = await bench.call("+15550104", access)
        sent = phone.bye()
        await agent.until(lambda: bool(agent.left))
        assert time.monotonic() - sent < 1
        assert agent.statuses == ["active", "hangup"]
        assert agent.left == [CLIENT_INITIATED]


async def test_deleting_the_room_hangs_up(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """The caller gets BYE within a second of DeleteRoom."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        phone, agent = await bench.call("+15550105", access)
        started = time.monotonic()
        await server.room.delete_room(api.DeleteRoomRequest(room=agent.room.name))
        assert (await phone.until(method="BYE")).at - started < 1


async def test_removing_the_participant_hangs_up(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """The caller gets BYE within a second; the room sees PARTICIPANT_REMOVED."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        phone, agent = await bench.call("+15550106", access)
        started = time.monotonic()
        await server.room.remove_participant(
            api.RoomParticipantIdentity(room=agent.room.name, identity="sip_+15550106")
        )
        assert (await phone.until(method="BYE")).at - started < 1
        await agent.until(lambda: bool(agent.left))
        assert agent.left == [rtc.DisconnectReason.PARTICIPANT_REMOVED]


async def test_cancel_while_ringing_leaves_no_room_behind(
    run_gateway: RunGateway, server: api.LiveKitAPI
) -> None:
    """CANCEL: 487 to the caller, and the room is gone within a second."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        phone = await bench.phone("+15550107")
        phone.invite(LINE)
        await phone.until(180)
        room = await room_of(server, "+15550107")
        sent = phone.cancel()
        assert (await phone.final()).status == 487
        await until_gone(server, room)
        assert time.monotonic() - sent < 1


async def test_rtp_that_stops_ends_both_sides(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """Without RTP for the time allowed the caller gets BYE and the room sees a hang-up."""
    async with AsyncExitStack() as stack:
        gateway = run_gateway(patience=Patience(media=2))
        bench = Bench(stack, await stack.enter_async_context(gateway), server)
        phone, agent = await bench.call("+15550108", access)
        phone.voice = tone(200)
        await agent.until(lambda: agent.loudest > 8000)
        phone.muted = True
        await phone.until(method="BYE")
        await agent.until(lambda: bool(agent.left))
        assert (agent.statuses, agent.left) == (["active", "hangup"], [CLIENT_INITIATED])


async def test_a_call_without_agent_is_dispatched_once_more_and_then_refused(
    run_gateway: RunGateway, server: api.LiveKitAPI
) -> None:
    """No agent: a new dispatch takes the place of the first, then 486, and no room stays."""
    async with AsyncExitStack() as stack:
        gateway = run_gateway(patience=Patience(agent=1))
        bench = Bench(stack, await stack.enter_async_context(gateway), server)
        phone = await bench.phone("+15550109")
        phone.invite(LINE)
        room = await room_of(server, "+15550109")
        (first,) = await server.agent_dispatch.list_dispatch(room)
        assert first.agent_name == "thirdring"
        assert (await next_dispatch(server, room, first.id)).agent_name == "thirdring"
        assert (await phone.final()).status == 486
        await until_gone(server, room)


async def test_an_agent_that_leaves_for_good_ends_the_call(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """Nobody is left alone on the line: BYE, once nobody came back."""
    async with AsyncExitStack() as stack:
        gateway = run_gateway(patience=Patience(company=0.5))
        bench = Bench(stack, await stack.enter_async_context(gateway), server)
        phone, agent = await bench.call("+15550110", access)
        await agent.room.disconnect()
        await phone.until(method="BYE")


async def test_stopping_the_gateway_hangs_up(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """Cancelled, it sends BYE, leaves the room and is done within two seconds."""
    async with AsyncExitStack() as stack, AsyncExitStack() as gateway:
        address = await gateway.enter_async_context(run_gateway())
        phone, agent = await Bench(stack, address, server).call("+15550111", access)
        started = time.monotonic()
        await gateway.aclose()
        assert time.monotonic() - started < 2
        await phone.until(method="BYE")
        await agent.until(lambda: bool(agent.left))
        assert agent.statuses == ["active", "hangup"]


async def test_two_calls_at_once_do_not_put_each_other_on_hold(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """Audio still flows on the first call after the second was answered."""
    async with AsyncExitStack() as stack:
        bench = Bench(stack, await stack.enter_async_context(run_gateway()), server)
        first, agent = await bench.call("+15550112", access)
        await bench.call("+15550113", access)
        first.voice = tone(400)
        await agent.until(lambda: agent.loudest > 8000)
        heard = asyncio.create_task(first.hears(0, 90))
        await agent.say_tone(0.5)
        await heard
        assert not [one for one in first.messages if one.first_line.startswith("INVITE")]
