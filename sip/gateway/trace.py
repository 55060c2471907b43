"""From which address an INVITE came, and where its phone wants the call's audio.

baresip's events carry neither, and headers are the caller's own claim. Its SIP trace has the source
beside the whole message, so a logging handler on the trace reads what we need, keeps only that, and
lets no SIP message through to any other log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

from sip.gateway.addresses import IPAddress

__all__ = ["Invite", "InviteTrace", "Origin", "invite_in"]

_KEPT: Final = 1024
_TRACE_LOGGER: Final = "baresip.native.sip"

# The first line of a record is the library's own: `RX UDP 127.0.0.1:5066 -> 127.0.0.1:5060`.
_RECEIVED = re.compile(r"RX \w+ \[?([0-9A-Fa-f.:]+?)\]?:\d+ -> \S+\Z")
# Anybody's packet is searched by these, so none of them may go back over what it has read.
_CALL_ID = re.compile(r"(?:call-id|i)[ \t]*:(.*)", re.IGNORECASE)
_STREAM = re.compile(r"^m=", re.MULTILINE)
_CONNECTION = re.compile(r"^c=IN IP[46] ([0-9A-Fa-f.:]+)", re.MULTILINE)


class Invite(NamedTuple):
    """What one INVITE or UPDATE shows.

    Attributes:
        call_ids: A message with more than one (RFC 3261 section 20 allows one) is known by each.
        source: The address that sent it.
        described: Whether it has SDP.
        audio_at: Where that wants the audio; None when it names no address.
    """

    method: str
    call_ids: tuple[str, ...]
    source: IPAddress
    described: bool
    audio_at: IPAddress | None

    @property
    def holds(self) -> bool:
        """Whether it wants no audio (RFC 2543 section B.5, which RFC 3264 section 8.4 keeps)."""
        return str(self.audio_at) == "0.0.0.0"


class Origin(NamedTuple):
    """What the INVITEs of one call show.

    Attributes:
        sources: Every address that sent one.
        audio_at: Where the latest wants the audio.
    """

    sources: frozenset[IPAddress] = frozenset()
    audio_at: IPAddress | None = None


def invite_in(record: str) -> Invite | None:
    """Return the INVITE or UPDATE that one trace record shows, None for all other records."""
    first, _, message = record.partition("\n")
    received = _RECEIVED.match(first.strip())
    method = message.partition(" ")[0]
    if received is None or method not in ("INVITE", "UPDATE"):
        return None
    try:
        source: IPAddress = ip_address(received.group(1))
    except ValueError:
        return None
    if isinstance(source, IPv6Address) and source.ipv4_mapped is not None:
        source = source.ipv4_mapped
    head, _, body = message.replace("\r\n", "\n").partition("\n\n")
    matches = (_CALL_ID.match(line) for line in head.split("\n")[1:])
    call_ids = tuple(match.group(1).strip(" \t") for match in matches if match)
    return Invite(method, call_ids, source, bool(body.strip()), _audio_address(body))


def _audio_address(sdp: str) -> IPAddress | None:
    """Return the address of the audio stream, which is the session's unless it has its own."""
    session, *streams = _STREAM.split(sdp)
    audio = next((stream for stream in streams if stream.startswith("audio ")), "")
    connection = _CONNECTION.search(audio) or _CONNECTION.search(session)
    if connection is None:
        return None
    try:
        return ip_address(connection.group(1))
    except ValueError:
        return None


class InviteTrace(logging.Handler):
    """The latest INVITEs, by Call-ID."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.DEBUG)
        self._loop = loop
        self._origins: OrderedDict[str, Origin] = OrderedDict()
        self._news = asyncio.Event()
        self._holds: dict[str, Callable[[bool], None]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take one trace record; runs on the thread that drains the library's log."""
        invite = invite_in(record.getMessage())
        if invite is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, invite)

    def _note(self, invite: Invite) -> None:
        for call_id in invite.call_ids:
            if invite.described and call_id in self._holds:
                self._holds[call_id](invite.holds)
            if invite.method == "INVITE":
                sources = self._origins.get(call_id, Origin()).sources | {invite.source}
                self._origins[call_id] = Origin(sources, invite.audio_at)
                self._origins.move_to_end(call_id)
        while len(self._origins) > _KEPT:
            self._origins.popitem(last=False)
        self._news.set()

    @contextmanager
    def holds(self, call_id: str | None, tell: Callable[[bool], None]) -> Iterator[None]:
        """Call `tell` with every later description of a call: whether it puts us on hold."""
        if call_id is None:
            yield
            return
        self._holds[call_id] = tell
        try:
            yield
        finally:
            # Another call may have borrowed the Call-ID.
            self._holds.pop(call_id, None)

    async def of(self, call_id: str | None, *, timeout: float) -> Origin:
        """Return what the INVITEs with this Call-ID show, and forget it.

        The event of a call and the trace of its INVITE come by different threads, so the trace may
        lag: it is awaited for `timeout` seconds at most.
        """
        if call_id is None:
            return Origin()
        try:
            async with asyncio.timeout(timeout):
                while call_id not in self._origins:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return Origin()
        return self._origins.pop(call_id)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the SIP trace, and keep it away from every other handler."""
        trace = logging.getLogger(_TRACE_LOGGER)
        propagated, level, handlers = trace.propagate, trace.level, trace.handlers[:]
        trace.propagate = False
        trace.handlers[:] = [self]
        trace.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            trace.setLevel(level)
            trace.handlers[:] = handlers
            trace.propagate = propagated
