"""Callers who give up at once cost nothing that lasts."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import uuid4

import pytest
from livekit import api

from local.parts.stack import Stack
from tests.peers.calls import new_number
from tests.sip.gateway.room_side import room_of, until_gone
from tests.sip.gateway.sip_phone import calling_from
from thirdring import AGENT_NAME

pytestmark = pytest.mark.server

_GOING_ROOMS: Final = 8


async def test_a_caller_who_gives_up_before_the_agent_comes_leaves_no_room(
    each_side: Stack,
) -> None:
    """The job that was on its way ends at once, and takes the room along that it made anew."""
    caller = new_number()
    keys = (each_side.environ[f"LIVEKIT_{name}"] for name in ("URL", "API_KEY", "API_SECRET"))
    async with (
        api.LiveKitAPI(*keys) as server,
        calling_from("127.0.0.1", each_side.sip_address, caller=caller) as phone,
    ):
        phone.invite(each_side.number)
        room = await room_of(server, caller)
        phone.cancel()
        assert (await phone.final()).status == 487
        await _job_over(each_side, room)
        await until_gone(server, room, timeout=10)


async def test_a_room_that_goes_while_the_agent_is_joining_stays_gone(stack: Stack) -> None:
    """The SDK would wait 15 s for an answer, and then make the room anew."""
    keys = (stack.environ[f"LIVEKIT_{name}"] for name in ("URL", "API_KEY", "API_SECRET"))
    amid = 0
    async with api.LiveKitAPI(*keys) as server:
        for _ in range(_GOING_ROOMS):
            dispatch = api.RoomAgentDispatch(agent_name=AGENT_NAME)
            name = f"going_{uuid4().hex}"
            await server.room.create_room(api.CreateRoomRequest(name=name, agents=[dispatch]))
            amid += await _agent(server, name) != api.ParticipantInfo.State.ACTIVE
            await server.room.delete_room(api.DeleteRoomRequest(room=name))
            await _job_over(stack, name)
            await until_gone(server, name, timeout=10)
    assert amid > 0


async def _agent(server: api.LiveKitAPI, room: str) -> int:
    """Return the state of the agent in the room as soon as it is seen there."""
    async with asyncio.timeout(15):
        while True:
            found = await server.room.list_participants(api.ListParticipantsRequest(room=room))
            for participant in found.participants:
                return participant.state
            await asyncio.sleep(0.001)


async def _job_over(stack: Stack, room: str) -> None:
    mark = room.rpartition("_")[2]
    async with asyncio.timeout(40):
        while not any(  # noqa: ASYNC110 - another process decides
            mark in line and "process exiting" in line
            for line in stack.log_paths["worker"].read_text(encoding="utf-8").splitlines()
        ):
            await asyncio.sleep(0.05)
