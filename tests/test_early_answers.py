"""Calls that were answered before the worker came, as livekit-sip and browsers bring them."""

from __future__ import annotations

import asyncio

import pytest

from local.parts.stack import Stack
from tests.peers.calls import new_number, wait_for_record
from tests.peers.room_phone import room_phone

pytestmark = pytest.mark.server


async def test_a_caller_who_was_answered_before_the_worker_came_is_greeted(stack: Stack) -> None:
    """A line that is open already gets the greeting, and the record says when it was open."""
    caller = new_number()
    attributes = {
        "sip.callID": "SCL_early",
        "sip.callStatus": "active",
        "sip.phoneNumber": caller,
        "sip.trunkPhoneNumber": stack.number,
    }
    async with room_phone(stack.environ, "call-early", attributes=attributes, metadata="") as phone:
        async with asyncio.timeout(10):
            await phone.sound.wait()
    record = await wait_for_record(stack, caller)
    assert record.answered_at is not None
