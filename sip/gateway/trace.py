"""From which address an INVITE came, and whether it offers video.

baresip's events do not carry the address, and headers are the caller's own claim. baresip's SIP
trace has it beside the whole message, so a logging handler on the trace reads what we need, keeps
only that, and lets no SIP message through to any other log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from sip.gateway.addresses import IPAddress

__all__ = ["InviteTrace", "Seen", "invite_in"]

_KEPT: Final = 1024
_TRACE_LOGGER: Final = "baresip.native.sip"

# The first line of a record is the library's own: `RX UDP 127.0.0.1:5066 -> 127.0.0.1:5060`.
_RECEIVED = re.compile(r"RX \w+ \[?([0-9A-Fa-f.:]+?)\]?:\d+ -> \S+\Z")
_CALL_ID = re.compile(r"(?:call-id|i)[ \t]*:[ \t]*(.*?)[ \t]*\Z", re.IGNORECASE)
_VIDEO = re.compile(r"^m=video [1-9]", re.MULTILINE)


@dataclass(frozen=True)
class Seen:
    """What the network showed of one call's INVITE.

    Attributes:
        sources: Every address that sent an INVITE with this Call-ID; empty when none is known.
        offers_video: Whether one of them offers a video stream.
    """

    sources: frozenset[IPAddress] = frozenset()
    offers_video: bool = False

    def __or__(self, other: Seen) -> Seen:
        return Seen(self.sources | other.sources, self.offers_video or other.offers_video)


def invite_in(record: str) -> tuple[tuple[str, ...], Seen] | None:
    """Return the Call-IDs of the INVITE that one trace record shows, None for all other records.

    A message with more than one Call-ID (RFC 3261 section 20 allows one) is known by each.
    """
    first, _, message = record.partition("\n")
    received = _RECEIVED.match(first.strip())
    if received is None or not message.startswith("INVITE "):
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
    return call_ids, Seen(frozenset({source}), _VIDEO.search(body) is not None)


class InviteTrace(logging.Handler):
    """The latest INVITEs, by Call-ID."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.DEBUG)
        self._loop = loop
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._news = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take one trace record; runs on the thread that drains the library's log."""
        invite = invite_in(record.getMessage())
        if invite is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, *invite)

    def _note(self, call_ids: tuple[str, ...], seen: Seen) -> None:
        for call_id in call_ids:
            self._seen[call_id] = self._seen.get(call_id, Seen()) | seen
            self._seen.move_to_end(call_id)
        while len(self._seen) > _KEPT:
            self._seen.popitem(last=False)
        self._news.set()

    async def of(self, call_id: str | None, *, timeout: float) -> Seen:
        """Return what is known of a call, and forget it.

        The event of a call and the trace of its INVITE come by different threads, so the trace may
        lag: it is awaited for `timeout` seconds at most.
        """
        if call_id is None:
            return Seen()
        try:
            async with asyncio.timeout(timeout):
                while call_id not in self._seen:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return Seen()
        return self._seen.pop(call_id)

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
