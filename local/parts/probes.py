"""Asks a part whether it is ready: each probe is one question with a yes or a no."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

__all__ = ["Probe", "all_of", "answers_http", "answers_sip", "says"]

Probe = Callable[[], Awaitable[bool]]

_PATIENCE = 1.0
"""Seconds for one answer; whoever asks will ask again."""


def answers_http(url: str) -> Probe:
    """Ask by GET; 200 is a yes."""

    async def probe() -> bool:
        # A proxy of the environment must not be asked about 127.0.0.1, and to load certificate
        # authorities, as the default does, takes longer than to ask.
        async with httpx.AsyncClient(
            timeout=_PATIENCE, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ) as client:
            try:
                response = await client.get(url)
            except httpx.TransportError:
                return False
        return response.status_code == 200

    return probe


def says(log: Path, words: str, *, times: int = 1) -> Probe:
    """Look for words in the part's log, for what it tells nowhere else."""

    async def probe() -> bool:
        return log.exists() and log.read_text(errors="replace").count(words) >= times

    return probe


def all_of(*probes: Probe) -> Probe:
    """Ask one after the other until one says no."""

    async def probe() -> bool:
        for each in probes:
            if not await each():
                return False
        return True

    return probe


def answers_sip(host: str, port: int, user: str) -> Probe:
    """Ask by OPTIONS over UDP (RFC 3261 section 11); any final response is a sign of life."""

    async def probe() -> bool:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _FirstFinal(answer), remote_addr=(host, port)
            )
        except OSError:
            return False
        try:
            local_host, local_port = transport.get_extra_info("sockname")[:2]
            transport.sendto(_options(user, f"{host}:{port}", f"{local_host}:{local_port}"))
            async with asyncio.timeout(_PATIENCE):
                await answer
        except (TimeoutError, OSError):
            return False
        finally:
            transport.close()
            # Closing takes a turn of the loop, which may be the last one.
            await asyncio.sleep(0)
        return True

    return probe


class _FirstFinal(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data.startswith(b"SIP/2.0 ") and data[8:9] in b"23456" and not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        # ICMP "port unreachable" comes back here while nobody listens yet.
        if not self._answer.done():
            self._answer.set_exception(exc)


def _options(user: str, remote: str, local: str) -> bytes:
    # RFC 3261 section 8.1.1: the six header fields of every request, and Contact for OPTIONS.
    lines = (
        f"OPTIONS sip:{user}@{remote} SIP/2.0",
        f"Via: SIP/2.0/UDP {local};branch=z9hG4bK{secrets.token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:readiness@{local}>;tag={secrets.token_hex(4)}",
        f"To: <sip:{user}@{remote}>",
        f"Call-ID: {secrets.token_hex(12)}",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:readiness@{local}>",
        "Accept: application/sdp",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
