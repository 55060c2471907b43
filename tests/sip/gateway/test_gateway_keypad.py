"""Keys that an agent presses reach the phone as they were pressed, in RFC 4733 events."""

from __future__ import annotations

import asyncio

import pytest
from livekit import api

from local.caller.call import open_call
from sip.keypad import RoomKeypad
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import agent_for
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.timeout(90)]

CALLER = "+15550161"
KEYS = "2447190231#0*"


async def test_all_keys_arrive_once_and_in_order(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess
) -> None:
    """A member number with doubled digits, as a payer's menu hears it from two pressings."""
    async with run_gateway() as address:
        target = f"sip:{LINE}@{address.host}:{address.port}"
        async with (
            open_call(target, caller=CALLER) as phone,
            agent_for(server, access, CALLER) as agent,
        ):
            await phone.wait_for_answer()
            keypad = RoomKeypad(agent.room)
            await keypad.press(KEYS[:5])
            await keypad.press(KEYS[5:])
            async with asyncio.timeout(30):
                await phone.keys.expect(KEYS)
        assert phone.keys.keys == KEYS
