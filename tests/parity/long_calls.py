"""Calls to the whole stack that take half a minute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest

from local.parts.stack import Stack
from tests.parity.raw_phone import RawPhone, raw_phone, sdp
from tests.peers.calls import new_number, wait_for_record
from thirdring.record import Record

__all__ = ["held_for_long", "never_acknowledged", "phone_of", "recorded"]

Story = Callable[[Stack], Awaitable[str]]


def phone_of(stack: Stack) -> AbstractAsyncContextManager[RawPhone]:
    return raw_phone(stack.sip_address, new_number())


async def recorded(stack: Stack, story: Story) -> Record:
    """Play a story, and return the record that it left."""
    return await wait_for_record(stack, await story(stack))


async def never_acknowledged(stack: Stack) -> str:
    """Send audio and no ACK at all."""
    async with phone_of(stack) as phone:
        invite = phone.invite(stack.number)
        await phone.established(ack=False)
        await phone.asked("BYE", timeout=40)
        assert 10 <= len(phone.answers(invite)) <= 13
        return phone.caller


async def held_for_long(stack: Stack) -> str:
    """Hold by the address 0.0.0.0, silent for longer than the RTP timeout of 15 s."""
    async with phone_of(stack) as phone:
        phone.invite(stack.number)
        await phone.established()
        await phone.hears()
        await phone.reinvite(sdp(phone.media_port, version=2, connection="0.0.0.0"))
        phone.muted = True
        with pytest.raises(TimeoutError):
            await phone.asked("BYE", timeout=17)
        await phone.reinvite(sdp(phone.media_port, version=3))
        phone.muted = False
        await phone.until(lambda: phone.heard[-1][0] > phone.inbox[-1][0])
        await phone.bye()
        return phone.caller
