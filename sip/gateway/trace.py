"""From which address an INVITE came, and whether it puts us on hold as phones did before RFC 3264.

baresip's events do not carry the address, and headers are the caller's own claim. Nor do they tell
of a hold by the address 0.0.0.0. baresip's SIP trace has it beside the whole message, so a logging
handler on the trace reads what we need, keeps only that, and lets no SIP message through to any
other log.
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

__all__ = ["Invite", "InviteTrace", "invite_in"]

_KEPT: Final = 1024
_TRACE_LOGGER: Final = "baresip.native.sip"

# The first line of a record is the library's own: `RX UDP 127.0.0.1:5066 -> 127.0.0.1:5060`.
_RECEIVED = re.compile(r"RX \w+ \[?([0-9A-Fa-f.:]+?)\]?:\d+ -> \S+\Z")
_CALL_ID = re.compile(r"(?:call-id|i)[ \t]*:[ \t]*(.*?)[ \t]*\Z", re.IGNORECASE)
# RFC 2543 section B.5; RFC 3264 section 8.4 still wants it understood.
_HELD = re.compile(r"^c=IN IP4 0\.0\.0\.0\b", re.MULTILINE)


class Invite(NamedTuple):
    """What one INVITE or UPDATE shows.

    Attributes:
        call_ids: A message with more than one (RFC 3261 section 20 allows one) is known by each.
        source: The address that sent it.
        held: Whether its SDP wants no audio at all, by the address 0.0.0.0; None without SDP.
    """

    method: str
    call_ids: tuple[str, ...]
    source: IPAddress
    held: bool | None


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
    call_ids = tuple(match.group(1) for match in matches if match)
    held = _HELD.search(body) is not None if body.strip() else None
    return Invite(method, call_ids, source, held)


class InviteTrace(logging.Handler):
    """The latest INVITEs, by Call-ID."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.DEBUG)
        self._loop = loop
        self._sources: OrderedDict[str, frozenset[IPAddress]] = OrderedDict()
        self._news = asyncio.Event()
        self._holds: dict[str, Callable[[bool], None]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Take one trace record; runs on the thread that drains the library's log."""
        invite = invite_in(record.getMessage())
        if invite is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, invite)

    def _note(self, invite: Invite) -> None:
        for call_id in invite.call_ids:
            if invite.held is not None and call_id in self._holds:
                self._holds[call_id](invite.held)
            if invite.method == "INVITE":
                self._sources[call_id] = self._sources.get(call_id, frozenset()) | {invite.source}
                self._sources.move_to_end(call_id)
        while len(self._sources) > _KEPT:
            self._sources.popitem(last=False)
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

    async def of(self, call_id: str | None, *, timeout: float) -> frozenset[IPAddress]:
        """Return every address that sent an INVITE with this Call-ID, and forget them.

        The event of a call and the trace of its INVITE come by different threads, so the trace may
        lag: it is awaited for `timeout` seconds at most.
        """
        if call_id is None:
            return frozenset()
        try:
            async with asyncio.timeout(timeout):
                while call_id not in self._sources:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return frozenset()
        return self._sources.pop(call_id)

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
