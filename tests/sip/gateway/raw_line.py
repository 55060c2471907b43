"""The line for phones that decide every SIP message, with an agent in the room behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from livekit import api

from local.caller.sip_message import Headers
from tests.parity.raw_phone import RawPhone, raw_phone
from tests.peers.calls import new_number
from tests.sip.gateway.conftest import LINE
from tests.sip.gateway.room_side import Agent, agent_for, room_of
from tests.sip.gateway.sip_phone import tone
from thirdring.access import LiveKitAccess

__all__ = ["RawLine", "both_are_heard", "ended_once", "media_of"]


@dataclass(frozen=True)
class RawLine:
    """A running gateway, and the livekit-server behind it."""

    gateway: tuple[str, int]
    server: api.LiveKitAPI
    access: LiveKitAccess

    def phone(self, transport: str = "UDP") -> AbstractAsyncContextManager[RawPhone]:
        """Open a phone whose number no other test has."""
        return raw_phone(self.gateway, new_number(), transport=transport)

    def agent(self, phone: RawPhone) -> AbstractAsyncContextManager[Agent]:
        """Join the phone's room as an agent."""
        return agent_for(self.server, self.access, phone.caller)

    @asynccontextmanager
    async def call(
        self, transport: str = "UDP", *, body: bytes | None = None, extra: Headers = ()
    ) -> AsyncIterator[tuple[RawPhone, Agent]]:
        """Send an INVITE; the agent that makes the gateway answer is there, the 200 not yet."""
        async with self.phone(transport) as phone:
            phone.invite(LINE, body, extra)
            async with self.agent(phone) as agent:
                yield phone, agent

    @asynccontextmanager
    async def answered(self, transport: str = "UDP") -> AsyncIterator[tuple[RawPhone, Agent]]:
        """Place a call whose sound has come through both ways."""
        async with self.call(transport) as (phone, agent):
            await phone.established()
            await agent.until(lambda: agent.statuses == ["active"])
            await both_are_heard(phone, agent)
            yield phone, agent

    async def room(self, phone: RawPhone) -> str:
        return await room_of(self.server, phone.caller)

    async def rooms(self, phone: RawPhone) -> list[str]:
        """Return the phone's rooms as they are now."""
        rooms = (await self.server.room.list_rooms(api.ListRoomsRequest())).rooms
        return [room.name for room in rooms if phone.caller in room.name]

    async def until_no_room(self, phone: RawPhone, timeout: float = 15) -> None:
        """Wait until no room of the phone is left."""
        async with asyncio.timeout(timeout):
            while await self.rooms(phone):  # noqa: ASYNC110 - the API tells no events
                await asyncio.sleep(0.02)


async def both_are_heard(phone: RawPhone, agent: Agent) -> None:
    """Let both sides make a loud sound, and wait until the other side has heard it."""
    agent.loudest = 0
    phone.voice = tone(400, phone.payload_type)
    await agent.until(lambda: agent.loudest > 8000)
    heard = asyncio.create_task(phone.hears())
    await agent.say_tone(0.3)
    await heard


async def ended_once(
    phone: RawPhone, agent: Agent, statuses: tuple[str, ...] = ("hangup",)
) -> None:
    """Wait until the participant has left, and check what the room saw of the call's end."""
    await agent.until(lambda: bool(agent.left))
    assert tuple(agent.statuses[-len(statuses) :]) == statuses
    assert len(agent.left) == 1
    # Nothing but a BYE ever comes from the gateway: so nothing can cross a re-INVITE (491).
    assert not [one for method in ("INVITE", "UPDATE") for one in phone.requests(method)]


def media_of(message: object) -> list[str]:
    """Return the m= lines of a message and the directions of its streams."""
    body: bytes = getattr(message, "body", b"")
    wanted = ("m=", "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive", "a=ptime")
    return [line for line in body.decode().splitlines() if line.startswith(wanted)]
