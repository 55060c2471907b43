"""A far end to call: answers on real UDP sockets, plays tones, and does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import cast

from local.caller.dialog import Address, reply
from local.caller.g711 import Samples
from local.caller.media import MediaStream
from local.caller.packets import ReceivedPacket, is_loud
from local.caller.sdp import Codec, audio_offer, parse_answer
from local.caller.sip_message import (
    Request,
    Response,
    SipUri,
    header,
    header_values,
    parse_message,
    uri_of,
)
from local.caller.voice import tone


@dataclass
class Manners:
    """What the far end does.

    Attributes:
        status: The final answer to an INVITE.
        ignored_invites: How many INVITEs it does not see.
        repeats_answer: It sends its 200 twice, as if the ACK were lost.
        greeting: Played once answered.
        reflex: A burst stops what it plays and is answered with a tone.
        answers: It gives a final answer at all.
    """

    status: int = 200
    reason: str = "OK"
    ignored_invites: int = 0
    repeats_answer: bool = False
    greeting: Samples | None = None
    reflex: bool = False
    answers: bool = True
    codec: Codec = Codec.PCMU


@dataclass
class AnsweringPeer(asyncio.DatagramProtocol):
    """One phone; `requests` are those that it saw, `responses` those that it got."""

    manners: Manners
    requests: list[Request] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    heard: list[ReceivedPacket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.media = MediaStream("127.0.0.1", self._hear)
        self.changed = asyncio.Event()
        self._quiet_packets = 50
        self._transport: asyncio.DatagramTransport | None = None
        self._invite: Request | None = None
        self._caller: Address = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    @property
    def address(self) -> Address:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return host, port

    @property
    def uri(self) -> str:
        return f"sip:+12025550142@{self.address[0]}:{self.address[1]}"

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    async def until(self, method: str, times: int = 1) -> None:
        """Wait for a request."""
        async with asyncio.timeout(10):
            while self.methods().count(method) < times:
                self.changed.clear()
                await self.changed.wait()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        message = parse_message(data)
        if isinstance(message, Response):
            self.responses.append(message)
        elif isinstance(message, Request):
            self.requests.append(message)
            self._take(message, addr)
        self.changed.set()

    def _take(self, request: Request, caller: Address) -> None:
        if request.method == "INVITE":
            if self.manners.ignored_invites:
                self.manners.ignored_invites -= 1
                return
            self._invite, self._caller = request, caller
            self._quiet_packets = 50  # each caller finds it armed
            self._answer_call(request)
        elif request.method == "CANCEL":
            self.send(self._response(request, 200, "OK"))
            assert self._invite is not None
            self.send(self._response(self._invite, 487, "Request Terminated"))
        elif request.method != "ACK":
            self.send(self._response(request, 200, "OK"))

    def _answer_call(self, invite: Request) -> None:
        self.send(self._response(invite, 180, "Ringing"))
        manners = self.manners
        if not manners.answers:
            return
        body = b""
        if manners.status == 200:
            offer = parse_answer(invite.body)
            body = audio_offer(*self.media.address, session_id=1, codecs=(manners.codec,))
            with contextlib.suppress(RuntimeError):  # started already, by the same INVITE
                self.media.start(replace(offer, codec=manners.codec))
            if manners.greeting is not None:
                self.media.play(manners.greeting)
        answer = self._response(invite, manners.status, manners.reason, body)
        for _ in range(2 if manners.repeats_answer else 1):
            self.send(answer)

    def _response(self, request: Request, status: int, reason: str, body: bytes = b"") -> Response:
        contact = SipUri("callee", *self.address)
        response = reply(request, status, reason, contact=contact, body=body)
        headers = tuple(
            (name, f"{value};tag=peer" if name == "To" and "tag=" not in value else value)
            for name, value in response.headers
        )
        return Response(status, reason, headers, body)

    def send(self, message: Request | Response) -> None:
        assert self._transport is not None
        self._transport.sendto(message.to_bytes(), self._caller)

    def ask(self, method: str, body: bytes = b"", *, sequence: int = 1) -> None:
        """Send a request inside the call."""
        assert self._invite is not None
        headers = (
            ("Via", f"SIP/2.0/UDP {self.address[0]}:{self.address[1]};branch=z9hG4bK{method}"),
            ("From", f"{header(self._invite.headers, 'To')};tag=peer"),
            ("To", header(self._invite.headers, "From") or ""),
            ("Call-ID", header(self._invite.headers, "Call-ID") or ""),
            ("CSeq", f"{sequence} {method}"),
        )
        contact = uri_of(header_values(self._invite.headers, "Contact")[0])
        self.send(Request(method, contact, headers, body))

    def _hear(self, packet: ReceivedPacket) -> None:
        """Run in the media thread."""
        self.heard.append(packet)
        if not is_loud(packet):
            self._quiet_packets += 1
            return
        if self.manners.reflex and self._quiet_packets >= 10:
            self.media.cut_off()
            self.media.play(tone(1000, 200))
        self._quiet_packets = 0


@contextlib.asynccontextmanager
async def answering_peer(manners: Manners) -> AsyncIterator[AnsweringPeer]:
    """Listen on a free port of 127.0.0.1."""
    peer = AnsweringPeer(manners)
    loop = asyncio.get_running_loop()
    async with peer.media:
        transport, _ = await loop.create_datagram_endpoint(
            lambda: peer, local_addr=("127.0.0.1", 0)
        )
        try:
            yield peer
        finally:
            transport.close()
