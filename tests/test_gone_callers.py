"""Callers who give up at once cost nothing that lasts."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api

from local.parts.stack import Stack
from tests.peers.calls import new_number
from tests.sip.gateway.room_side import room_of, until_gone
from tests.sip.gateway.sip_phone import calling_from

pytestmark = pytest.mark.server


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
        mark = room.rpartition("_")[2]
        async with asyncio.timeout(40):
            while not any(  # noqa: ASYNC110 - another process decides
                mark in line and "process exiting" in line
                for line in each_side.log_paths["worker"].read_text(encoding="utf-8").splitlines()
            ):
                await asyncio.sleep(0.05)
        await until_gone(server, room, timeout=10)
