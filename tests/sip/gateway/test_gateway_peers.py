"""Independent SIP programs against the gateway: sipp by UDP and TCP, Debian's baresip."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from livekit import api

from tests.peers.calls import new_number
from tests.peers.phones import needs_baresip, needs_sipp, sipp, softphone
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import Agent, agent_for, room_of
from tests.sip.gateway.sip_phone import calling_from
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.sip, pytest.mark.timeout(60)]


@needs_sipp
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["UDP", "TCP"])
async def test_sipp_places_a_call(
    run_gateway: RunGateway,
    server: api.LiveKitAPI,
    access: LiveKitAccess,
    tmp_path: Path,
    transport: str,
) -> None:
    """A PCMA-only caller rings, is answered with PCMA and hangs up."""
    caller = f"+1555013{'ut'.index(transport[0])}"
    async with run_gateway() as address:
        calling = asyncio.create_task(
            sipp(
                "call.xml",
                address.port,
                tmp_path,
                transport=transport,
                number=LINE,
                caller=caller,
            )
        )
        async with agent_for(server, access, caller) as agent:
            await calling
            await agent.until(lambda: agent.statuses == ["active", "hangup"])


@needs_sipp
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["UDP", "TCP"])
async def test_sipp_gives_up_while_it_rings(
    run_gateway: RunGateway, tmp_path: Path, transport: str
) -> None:
    """CANCEL is answered 200 and the INVITE 487."""
    async with run_gateway() as address:
        await sipp(
            "cancel.xml",
            address.port,
            tmp_path,
            transport=transport,
            number=LINE,
            caller="+15550135",
        )


@needs_sipp
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["UDP", "TCP"])
async def test_sipp_dials_a_number_that_no_line_has(
    run_gateway: RunGateway, server: api.LiveKitAPI, tmp_path: Path, transport: str
) -> None:
    """404 at once, no ringing, no room."""
    async with run_gateway() as address:
        await sipp(
            "unknown_number.xml",
            address.port,
            tmp_path,
            transport=transport,
            number="+12025550199",
            caller="+15550136",
        )
        rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
        assert not [room for room in rooms if "+15550136" in room.name]


@needs_sipp
async def test_sipp_is_one_call_too_many(
    run_gateway: RunGateway, server: api.LiveKitAPI, tmp_path: Path
) -> None:
    """Over the limit: 486, and no room for the call that was refused."""
    async with (
        run_gateway(max_calls=1) as address,
        calling_from("127.0.0.1", (address.host, address.port), caller="+15550137") as phone,
    ):
        phone.invite(LINE)
        await room_of(server, "+15550137")
        await sipp("busy.xml", address.port, tmp_path, number=LINE, caller="+15550138")
        rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
        assert not [room for room in rooms if "+15550138" in room.name]
        phone.cancel()
        await phone.final()


@needs_baresip
async def test_baresip_is_heard_and_hung_up(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, tmp_path: Path
) -> None:
    """A softphone that drops the `+` reaches the line; its tone is heard; DeleteRoom ends it."""
    async with run_gateway() as address:
        target = address.uri(LINE.removeprefix("+"))
        async with (
            softphone(tmp_path, target, caller="+15550140"),
            agent_for(server, access, "+15550140") as agent,
        ):
            await agent.until(lambda: agent.loudest > 1000)
            assert agent.caller.attributes["sip.trunkPhoneNumber"] == LINE
            await server.room.delete_room(api.DeleteRoomRequest(room=agent.room.name))
            await agent.until(lambda: not agent.room.isconnected())


def is_quiet(agent: Agent) -> bool:
    """Tell whether the last 200 ms that the agent has heard were silence."""
    last = agent.heard[-20:]
    return len(last) == 20 and all(np.abs(frame).max() < 200 for _, frame in last)


@needs_baresip
async def test_baresip_puts_the_call_on_hold_and_comes_back(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, tmp_path: Path
) -> None:
    """A softphone's hold key: its tone stops, the call stays, and the tone comes back."""
    caller = new_number()
    async with (
        run_gateway() as address,
        softphone(tmp_path, address.uri(LINE), caller=caller) as phone,
        agent_for(server, access, caller) as agent,
    ):
        await agent.until(lambda: agent.loudest > 1000)
        await phone.type("x")
        await agent.until(lambda: is_quiet(agent))
        assert agent.left == []
        agent.loudest = 0
        await phone.type("X")
        await agent.until(lambda: agent.loudest > 1000)
        await phone.hang_up()
        await agent.until(lambda: bool(agent.left))
        assert agent.statuses == ["active", "hangup"]
