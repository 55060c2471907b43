"""A tiny SIP phone on raw UDP for these tests, with each packet in plain sight."""

from __future__ import annotations

import asyncio
import math
import re
import secrets
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

__all__ = ["Phone", "SipMessage", "calling_from", "loud", "tone"]

_SILENCE = {0: b"\xff" * 160, 8: b"\xd5" * 160}
_EVENT_TYPE = 101


@dataclass(frozen=True)
class SipMessage:
    """One SIP message and when it came, on the monotonic clock."""

    first_line: str
    text: str
    at: float

    @property
    def status(self) -> int:
        """The status code, 0 for a request."""
        found = re.match(r"SIP/2\.0 (\d{3})", self.first_line)
        return int(found.group(1)) if found else 0

    def header(self, name: str) -> str:
        found = re.search(rf"^{name}:\s*(.*?)\r?$", self.text, re.MULTILINE | re.IGNORECASE)
        return found.group(1) if found else ""


@dataclass
class Phone(asyncio.DatagramProtocol):
    """One phone with one call."""

    host: str
    gateway: tuple[str, int]
    caller: str = "+15550199"
    payload_type: int = 0
    media_host: str = ""
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    messages: list[SipMessage] = field(default_factory=list)
    rtp: list[tuple[float, int, bytes]] = field(default_factory=list)
    voice: bytes = b""
    muted: bool = False

    def __post_init__(self) -> None:
        self._news = asyncio.Event()
        self._to = ""
        self._cseq = 1
        self._sequence = secrets.randbelow(30000)
        self._timestamp = secrets.randbelow(100000)
        self._media: tuple[str, int] | None = None
        self._events: list[tuple[int, int, bool]] = []
        self.sip: asyncio.DatagramTransport
        self.media: asyncio.DatagramTransport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode(errors="replace")
        message = SipMessage(text.split("\r\n", 1)[0], text, time.monotonic())
        self.messages.append(message)
        if message.first_line.startswith("BYE"):
            self._answer(message)
        elif message.status >= 200 and "INVITE" in message.header("CSeq"):
            self._to = message.header("To")
            found = re.search(r"^m=audio (\d+)", text, re.MULTILINE)
            if message.status == 200 and found:
                told = re.search(r"^c=IN IP4 (\S+)", text, re.MULTILINE)
                self._media = (told[1] if told else self.gateway[0], int(found.group(1)))
            # The ACK of a refusal belongs to the INVITE's transaction, that of a 200 does not
            # (RFC 3261 sections 17.1.1.3 and 13.2.2.4).
            refused = self._invite_branch if message.status >= 300 else ""
            self._request("ACK", self._invite_cseq, branch=refused)
        self._news.set()

    def _answer(self, request: SipMessage) -> None:
        lines = [
            line
            for line in request.text.split("\r\n")
            if line.lower().startswith(("via:", "from:", "to:", "call-id:", "cseq:"))
        ]
        reply = "\r\n".join(["SIP/2.0 200 OK", *lines, "Content-Length: 0", "", ""])
        self.sip.sendto(reply.encode(), self.gateway)

    def invite(self, number: str) -> float:
        """Send the INVITE; return when."""
        self._number = number
        self._invite_branch = f"z9hG4bK{secrets.token_hex(6)}"
        self._invite_cseq = self._cseq
        name = {0: "PCMU", 8: "PCMA"}[self.payload_type]
        body = "\r\n".join(
            [
                "v=0",
                f"o=- 1 1 IN IP4 {self.host}",
                "s=-",
                f"c=IN IP4 {self.media_host or self.host}",
                "t=0 0",
                f"m=audio {self.media.get_extra_info('sockname')[1]} RTP/AVP "
                f"{self.payload_type} {_EVENT_TYPE}",
                f"a=rtpmap:{self.payload_type} {name}/8000",
                f"a=rtpmap:{_EVENT_TYPE} telephone-event/8000",
                "a=ptime:20",
                "",
            ]
        )
        self._request("INVITE", self._invite_cseq, branch=self._invite_branch, body=body)
        return time.monotonic()

    def cancel(self) -> float:
        self._request("CANCEL", self._invite_cseq, branch=self._invite_branch)
        return time.monotonic()

    def bye(self) -> float:
        self._cseq += 1
        self._request("BYE", self._cseq)
        return time.monotonic()

    def options(self, number: str) -> None:
        self._number = number
        self._request("OPTIONS", self._cseq)

    def _request(self, method: str, cseq: int, *, branch: str = "", body: str = "") -> None:
        port = self.sip.get_extra_info("sockname")[1]
        uri = f"sip:{self._number}@{self.gateway[0]}:{self.gateway[1]}"
        branch = branch or f"z9hG4bK{secrets.token_hex(6)}"
        to = f"<{uri}>" if method in ("INVITE", "CANCEL") else self._to or f"<{uri}>"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{port};branch={branch};rport",
            "Max-Forwards: 70",
            f'From: "Test" <sip:{self.caller}@{self.host}:{port}>;tag={self.tag}',
            f"To: {to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{self.caller}@{self.host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        self.sip.sendto("\r\n".join(lines).encode(), self.gateway)

    async def until(self, status: int = 0, method: str = "", timeout: float = 15) -> SipMessage:
        """Return the first message with this status or method, waiting for it if need be."""
        async with asyncio.timeout(timeout):
            while True:
                for message in self.messages:
                    if (status and message.status == status) or (
                        method and message.first_line.startswith(method)
                    ):
                        return message
                self._news.clear()
                await self._news.wait()

    async def final(self, timeout: float = 20) -> SipMessage:
        """Return the final answer to the INVITE or OPTIONS."""
        async with asyncio.timeout(timeout):
            while True:
                for message in self.messages:
                    if message.status >= 200 and "CANCEL" not in message.header("CSeq"):
                        return message
                self._news.clear()
                await self._news.wait()

    async def stream(self) -> None:
        """Send a packet every 20 ms: what `voice` holds, else silence."""
        due = time.monotonic()
        while True:
            if self._media is not None and not self.muted:
                if self._events:
                    self._send_event()
                else:
                    frame, self.voice = self.voice[:160], self.voice[160:]
                    self._send(self.payload_type, frame or _SILENCE[self.payload_type])
                self._timestamp += 160
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def press(self, digit: str) -> None:
        """Send one digit (RFC 4733): one timestamp, 100 ms, the end three times."""
        code = "0123456789*#ABCD".index(digit)
        self._events += [(code, 160 * n, n == 0) for n in range(1, 6)]
        self._events += [(code | 0x8000, 800, False)] * 3

    def _send_event(self) -> None:
        code, duration, _ = self._events.pop(0)
        if duration == 160:
            self._event_start = self._timestamp
        end = 0x80 if code & 0x8000 else 0
        payload = struct.pack("!BBH", code & 0xFF, end | 10, duration)
        self._send(_EVENT_TYPE, payload, self._event_start, marker=duration == 160)

    def _send(
        self, kind: int, payload: bytes, timestamp: int | None = None, *, marker: bool = False
    ) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        stamp = (self._timestamp if timestamp is None else timestamp) & 0xFFFFFFFF
        head = struct.pack("!BBHII", 0x80, kind | marker << 7, self._sequence, stamp, 0x1234)
        self.media.sendto(head + payload, self._media)

    def heard(self, data: bytes) -> None:
        self.rtp.append((time.monotonic(), data[1] & 0x7F, data[12:]))
        self._news.set()

    async def hears(self, kind: int, least: int, timeout: float = 15) -> float:
        """Return when the first packet came whose samples are as loud as `least`."""
        start = len(self.rtp)
        async with asyncio.timeout(timeout):
            while True:
                for at, got, payload in self.rtp[start:]:
                    if got == kind and (kind == _EVENT_TYPE or loud(payload, kind) >= least):
                        return at
                self._news.clear()
                await self._news.wait()


class _Media(asyncio.DatagramProtocol):
    def __init__(self, phone: Phone) -> None:
        self._phone = phone

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(data) > 12:
            self._phone.heard(data)


def loud(payload: bytes, kind: int) -> int:
    """Return the loudest sample of a packet, 0 to 127 in steps of the law's own scale."""
    if kind == 0:
        return max(127 - (byte & 0x7F) for byte in payload)
    return max((byte & 0x7F) ^ 0x55 for byte in payload)


def tone(milliseconds: int, kind: int = 0, frequency: int = 1000) -> bytes:
    """Return a sine at half of full scale as PCMU or PCMA."""
    samples = (
        16000 * math.sin(2 * math.pi * frequency * n / 8000) for n in range(8 * milliseconds)
    )
    return bytes((_mu_law if kind == 0 else _a_law)(round(sample)) for sample in samples)


def _mu_law(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    biased = min(abs(sample), 32635) + 132
    exponent = biased.bit_length() - 8
    return ~(sign | exponent << 4 | biased >> exponent + 3 & 0xF) & 0xFF


def _a_law(sample: int) -> int:
    sign = 0x80 if sample >= 0 else 0
    size = min(abs(sample), 32767) >> 3
    exponent = max(size.bit_length() - 5, 0)
    mantissa = size >> max(exponent, 1) & 0xF
    return (sign | exponent << 4 | mantissa) ^ 0x55


@asynccontextmanager
async def calling_from(
    host: str,
    gateway: tuple[str, int],
    *,
    caller: str = "+15550199",
    payload_type: int = 0,
    media_host: str = "",
) -> AsyncIterator[Phone]:
    """Open a phone at `host`, its RTP at `media_host` if given, and keep that flowing in a call."""
    loop = asyncio.get_running_loop()
    phone = Phone(host, gateway, caller, payload_type, media_host)
    phone.sip, _ = await loop.create_datagram_endpoint(lambda: phone, local_addr=(host, 0))
    phone.media, _ = await loop.create_datagram_endpoint(
        lambda: _Media(phone), local_addr=(media_host or host, 0)
    )
    stream = asyncio.create_task(phone.stream())
    try:
        yield phone
    finally:
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
        phone.sip.close()
        phone.media.close()
