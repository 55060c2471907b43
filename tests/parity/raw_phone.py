"""A phone that sends exactly the SIP that a test says, by UDP or TCP, and answers only BYE."""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from local.caller.dialog import Dialog, ack_of_refusal, cancel_of, new_branch, reply
from local.caller.sip_message import (
    Headers,
    Request,
    Response,
    SipUri,
    header,
    parse_message,
)
from tests.sip.gateway.sip_phone import loud

__all__ = ["RawPhone", "raw_media", "raw_phone", "sdp"]

_SILENCE = {0: b"\xff" * 160, 8: b"\xd5" * 160}
_NAMES = {0: "PCMU", 8: "PCMA", 9: "G722", 18: "G729"}


def sdp(
    port: int,
    *,
    host: str = "127.0.0.1",
    connection: str = "",
    types: tuple[int, ...] = (0, 8),
    version: int = 1,
    lines: tuple[str, ...] = (),
    protocol: str = "RTP/AVP",
) -> bytes:
    """Return a description of one audio stream; `connection` is the address of the c= line."""
    text = [
        "v=0",
        f"o=- 7 {version} IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {connection or host}",
        "t=0 0",
        f"m=audio {port} {protocol} {' '.join(map(str, types))} 101",
        *(f"a=rtpmap:{kind} {_NAMES[kind]}/8000" for kind in types),
        "a=rtpmap:101 telephone-event/8000",
        *lines,
    ]
    return ("\r\n".join(text) + "\r\n").encode()


@dataclass
class RawPhone(asyncio.DatagramProtocol):
    """One phone with one dialog, whose messages both ways are in plain sight.

    Attributes:
        inbox: Every message that came, with its time on the monotonic clock.
        heard: Every RTP packet that came: time, payload type, payload.
        voice: What is sent next in place of silence.
    """

    gateway: tuple[str, int]
    caller: str
    transport: str = "UDP"
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    inbox: list[tuple[float, Request | Response]] = field(default_factory=list)
    heard: list[tuple[float, int, bytes]] = field(default_factory=list)
    voice: bytes = b""
    payload_type: int = 0
    muted: bool = False
    dialog: Dialog | None = None
    cseq: int = 1

    def __post_init__(self) -> None:
        self.news = asyncio.Event()
        self.address = ("", 0)
        self.media_to: tuple[str, int] | None = None
        self.put: Callable[[bytes], object]
        self.media: asyncio.DatagramTransport
        self.invited: Request

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Note a message; BYE is answered at once."""
        message = parse_message(data)
        assert message is not None, data
        self.inbox.append((time.monotonic(), message))
        if isinstance(message, Request) and message.method == "BYE":
            self.answer(message, 200, "OK")
        self.news.set()

    @property
    def media_port(self) -> int:
        port: int = self.media.get_extra_info("sockname")[1]
        return port

    @property
    def contact(self) -> SipUri:
        return SipUri(self.caller, *self.address)

    def send(self, message: Request | Response) -> None:
        self.put(message.to_bytes())

    def answer(self, request: Request, status: int, reason: str, body: bytes = b"") -> None:
        self.send(reply(request, status, reason, contact=self.contact, body=body))

    def via(self, branch: str = "") -> tuple[str, str]:
        host, port = self.address
        where = f"{host}:{port};rport;branch={branch or new_branch()}"
        return ("Via", f"SIP/2.0/{self.transport} {where}")

    def request(self, method: str, number: str, body: bytes = b"", extra: Headers = ()) -> Request:
        """Return a request outside of a dialog; a header of `extra` takes the place of ours."""
        uri = f"sip:{number}@{self.gateway[0]}:{self.gateway[1]}"
        host, port = self.address
        headers: Headers = (
            self.via(),
            ("Max-Forwards", "70"),
            ("From", f'"Test" <sip:{self.caller}@{host}:{port}>;tag={self.tag}'),
            ("To", f"<{uri}>"),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self.cseq} {method}"),
            ("Contact", f"<{self.contact};transport={self.transport.lower()}>"),
        )
        if body and "content-type" not in {name.lower() for name, _ in extra}:
            headers = (*headers, ("Content-Type", "application/sdp"))
        replaced = {name.lower() for name, _ in extra}
        kept = tuple(pair for pair in headers if pair[0].lower() not in replaced)
        return Request(method, uri, (*kept, *extra), body)

    def invite(self, number: str, body: bytes | None = None, extra: Headers = ()) -> Request:
        """Send an INVITE, which offers PCMU and PCMA unless told otherwise."""
        offer = sdp(self.media_port) if body is None else body
        self.invited = self.request("INVITE", number, offer, extra)
        self.send(self.invited)
        return self.invited

    def cancel(self) -> None:
        self.send(cancel_of(self.invited))

    def inside(
        self, method: str, body: bytes = b"", extra: Headers = (), cseq: int | None = None
    ) -> Request:
        """Send a request inside the dialog, with the next CSeq unless told otherwise."""
        assert self.dialog is not None
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        plain = self.dialog.request(method, cseq)
        headers = tuple(pair for pair in plain.headers if pair[0] != "Via")
        typed: Headers = (("Content-Type", "application/sdp"),) if body else ()
        if "content-type" in {name.lower() for name, _ in extra}:
            typed = ()
        contact: Headers = (("Contact", f"<{self.contact};transport={self.transport.lower()}>"),)
        made = replace(plain, headers=(self.via(), *headers, *contact, *typed, *extra), body=body)
        self.send(made)
        return made

    async def until(self, true: Callable[[], bool], timeout: float = 20) -> None:
        """Wait until `true` holds; it is looked at whenever a message or packet has come."""
        async with asyncio.timeout(timeout):
            while not true():
                self.news.clear()
                await self.news.wait()

    def answers(self, to: Request) -> list[Response]:
        """Return what has come in answer to a request, by branch and method."""
        branch, sequence = header(to.headers, "Via"), header(to.headers, "CSeq")
        mark = (branch or "").rpartition("branch=")[2].partition(";")[0]
        return [
            one
            for _, one in self.inbox
            if isinstance(one, Response)
            and header(one.headers, "CSeq") == sequence
            and mark in (header(one.headers, "Via") or "")
        ]

    async def final(self, to: Request, timeout: float = 20) -> Response:
        """Return the final answer to a request."""
        await self.until(lambda: any(one.status >= 200 for one in self.answers(to)), timeout)
        return next(one for one in self.answers(to) if one.status >= 200)

    async def asked(self, method: str, timeout: float = 20) -> Request:
        """Return the first request with this method that the far end has sent."""
        await self.until(lambda: bool(self.requests(method)), timeout)
        return self.requests(method)[0]

    def requests(self, method: str) -> list[Request]:
        return [m for _, m in self.inbox if isinstance(m, Request) and m.method == method]

    async def established(self, *, ack: bool = True, body: bytes = b"") -> Response:
        """Wait for the 200 of the INVITE, acknowledge it and send audio to where it says."""
        answer = await self.final(self.invited)
        assert answer.status == 200, answer
        self.dialog = Dialog.from_answer(self.invited, answer, self.address, self.gateway)
        self.aim(answer)
        if ack:
            self.ack(body)
        return answer

    def aim(self, answer: Response) -> None:
        """Send audio to where an answer says."""
        port = answer.body.decode().partition("m=audio ")[2].partition(" ")[0]
        self.media_to = (self.gateway[0], int(port)) if port else None

    def ack(self, body: bytes = b"", cseq: int = 1) -> None:
        """Acknowledge a 2xx; the 200 of a re-INVITE by its own CSeq."""
        self.inside("ACK", body, cseq=cseq)

    def ack_refusal(self, refusal: Response) -> None:
        self.send(ack_of_refusal(self.invited, refusal))

    async def reinvite(self, body: bytes, extra: Headers = ()) -> Response:
        """Send a re-INVITE and acknowledge its final answer."""
        asked = self.inside("INVITE", body, extra)
        answer = await self.final(asked)
        if answer.status < 300:
            self.ack(cseq=self.cseq)
        else:
            self.send(ack_of_refusal(asked, answer))
        return answer

    async def bye(self) -> Response:
        """Hang up; return the answer."""
        return await self.final(self.inside("BYE"))

    async def hears(self, timeout: float = 20) -> float:
        """Return when the next loud packet came."""
        start = len(self.heard)

        def loud_ones() -> list[float]:
            new = self.heard[start:]
            return [at for at, kind, data in new if kind in _SILENCE and loud(data, kind) > 60]

        await self.until(lambda: bool(loud_ones()), timeout)
        return loud_ones()[0]

    async def until_quiet(self, seconds: float = 0.2) -> None:
        """Wait until no packet of audio has come for so long."""
        async with asyncio.timeout(20):
            while True:
                self.news.clear()
                try:
                    await asyncio.wait_for(self.news.wait(), seconds)
                except TimeoutError:
                    return

    async def stream(self) -> None:
        """Send a packet every 20 ms: what `voice` holds, else silence."""
        due, sequence = time.monotonic(), secrets.randbelow(30000)
        while True:
            if self.media_to is not None and not self.muted:
                sequence += 1
                frame, self.voice = self.voice[:160], self.voice[160:]
                frame = frame or _SILENCE[self.payload_type]
                head = (0x80, self.payload_type, sequence & 0xFFFF, sequence * 160, 0x1234)
                self.media.sendto(struct.pack("!BBHII", *head) + frame, self.media_to)
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class _Media(asyncio.DatagramProtocol):
    def __init__(self, phone: RawPhone) -> None:
        self._phone = phone

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) > 12:
            self._phone.heard.append((time.monotonic(), data[1] & 0x7F, data[12:]))
            self._phone.news.set()


async def _read(reader: asyncio.StreamReader, phone: RawPhone) -> None:
    """Take messages from a stream, framed by Content-Length (RFC 3261 section 18.3)."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        length = next(line for line in lines if line.startswith("content-length:"))
        body = await reader.readexactly(int(length.partition(":")[2]))
        phone.datagram_received(head + body, None)


@asynccontextmanager
async def raw_media(phone: RawPhone) -> AsyncIterator[int]:
    """Let the phone send and hear at another port, which is returned."""
    phone.media.close()
    loop = asyncio.get_running_loop()
    phone.media, _ = await loop.create_datagram_endpoint(
        lambda: _Media(phone), local_addr=("127.0.0.1", 0)
    )
    yield phone.media_port


@asynccontextmanager
async def raw_phone(
    gateway: tuple[str, int], caller: str, *, transport: str = "UDP"
) -> AsyncIterator[RawPhone]:
    """Open a phone and keep its audio flowing once it is in a call."""
    loop = asyncio.get_running_loop()
    phone = RawPhone(gateway, caller, transport)
    tasks: list[asyncio.Task[None]] = []
    sip: asyncio.BaseTransport
    if transport == "TCP":
        reader, writer = await asyncio.open_connection(*gateway)
        tasks.append(asyncio.create_task(_read(reader, phone)))
        sip, phone.put = writer.transport, writer.write
    else:
        datagrams, _ = await loop.create_datagram_endpoint(
            lambda: phone, local_addr=("127.0.0.1", 0)
        )
        sip, phone.put = datagrams, lambda data: datagrams.sendto(data, gateway)
    phone.address = sip.get_extra_info("sockname")[:2]
    phone.media, _ = await loop.create_datagram_endpoint(
        lambda: _Media(phone), local_addr=("127.0.0.1", 0)
    )
    tasks.append(asyncio.create_task(phone.stream()))
    try:
        yield phone
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        sip.close()
        phone.media.close()
