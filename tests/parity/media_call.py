"""A call whose every packet a test decides, and the room behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from livekit import api

from local.caller.sdp import AudioAnswer, parse_answer
from sip.gateway import GatewayAddress
from tests.parity.raw_phone import RawPhone, raw_phone
from tests.parity.wire import Heard, Timed, Wire, wire
from tests.sip.gateway.conftest import LINE
from tests.sip.gateway.room_side import Agent, agent_for
from thirdring.access import LiveKitAccess

__all__ = ["MediaCall", "Site", "media_call", "offer"]


@dataclass(frozen=True)
class Site:
    """A running gateway and the livekit-server behind it."""

    address: GatewayAddress
    access: LiveKitAccess
    server: api.LiveKitAPI


@dataclass(frozen=True)
class MediaCall:
    """An answered call: its phone, its packets, and the agent in its room."""

    phone: RawPhone
    wire: Wire
    agent: Agent
    answer: AudioAnswer
    sdp: str

    def send(self, plan: Sequence[Timed]) -> float:
        """Begin to send to where the gateway says; return when."""
        return self.wire.send(plan, (self.answer.address, self.answer.port))

    def audio(self, since: float = 0.0) -> list[Heard]:
        """Return the packets of sound that came."""
        return [
            one for one in self.wire.heard if one.packet.payload_type in (0, 8) and one.at >= since
        ]

    @property
    def has_ended(self) -> bool:
        return bool(self.phone.requests("BYE"))


def offer(
    port: int, formats: Sequence[str] = ("0", "8", "101 telephone-event/8000"), *lines: str
) -> bytes:
    """Return an SDP offer.

    Args:
        formats: A payload type, and what its rtpmap says if it has one.
        lines: More lines of the stream.
    """
    types = " ".join(one.split()[0] for one in formats)
    text = [
        "v=0",
        "o=- 7 1 IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m=audio {port} RTP/AVP {types}",
        *(f"a=rtpmap:{one}" for one in formats if " " in one),
        *lines,
    ]
    return ("\r\n".join(text) + "\r\n").encode()


@asynccontextmanager
async def media_call(
    site: Site,
    caller: str,
    formats: Sequence[str] = ("0", "8", "101 telephone-event/8000"),
    *lines: str,
    connection: str = "",
) -> AsyncIterator[MediaCall]:
    """Call the line, answered by an agent that listens; hang up at the end."""
    async with AsyncExitStack() as stack:
        gateway = (site.address.host, site.address.port)
        phone = await stack.enter_async_context(raw_phone(gateway, caller))
        phone.muted = True
        opened = stack.enter_context(wire())
        body = offer(opened.port, formats, *lines)
        if connection:
            body = body.replace(b"c=IN IP4 127.0.0.1", f"c=IN IP4 {connection}".encode())
        phone.invite(LINE, body)
        agent = await stack.enter_async_context(agent_for(site.server, site.access, caller))
        answer = await phone.established()
        # Its track is there once it has sent a frame, silence included.
        await agent.until(lambda: bool(agent.heard))
        yield MediaCall(phone, opened, agent, parse_answer(answer.body), answer.body.decode())
        if not phone.requests("BYE"):
            await phone.bye()
