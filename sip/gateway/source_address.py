"""From which address an INVITE came.

baresip's events do not carry it, and headers are the caller's own claim. baresip's SIP trace has it
beside the whole message, so a logging handler on the trace reads address and Call-ID, keeps only
those, and lets no SIP message through to any other log.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Final

from sip.gateway.addresses import IPAddress

__all__ = ["SourceAddresses", "invite_in"]

_KEPT: Final = 1024
_TRACE_LOGGER: Final = "baresip.native.sip"

# The first line of a record is the library's own: `RX UDP 127.0.0.1:5066 -> 127.0.0.1:5060`.
_RECEIVED = re.compile(r"RX \w+ \[?([0-9A-Fa-f.:]+?)\]?:\d+ -> \S+\Z")
_CALL_ID = re.compile(r"(?:call-id|i)[ \t]*:[ \t]*(.*?)[ \t]*\Z", re.IGNORECASE)


def invite_in(record: str) -> tuple[IPAddress, tuple[str, ...]] | None:
    """Return source and Call-IDs of the INVITE that one trace record shows, None for all others.

    A message with more than one Call-ID (RFC 3261 section 20 allows one) is known by each.
    """
    first, _, message = record.partition("\n")
    received = _RECEIVED.match(first.strip())
    if received is None or not message.startswith("INVITE "):
        return None
    try:
        source = ip_address(received.group(1))
    except ValueError:
        return None
    head = message.replace("\r\n", "\n").partition("\n\n")[0]
    matches = (_CALL_ID.match(line) for line in head.split("\n")[1:])
    return source, tuple(match.group(1) for match in matches if match)


class SourceAddresses(logging.Handler):
    """The sources of the latest INVITEs, by Call-ID."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.DEBUG)
        self._loop = loop
        self._sources: OrderedDict[str, set[IPAddress]] = OrderedDict()
        self._news = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take one trace record; runs on the thread that drains the library's log."""
        seen = invite_in(record.getMessage())
        if seen is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note, *seen)

    def _note(self, source: IPAddress, call_ids: tuple[str, ...]) -> None:
        for call_id in call_ids:
            self._sources.setdefault(call_id, set()).add(source)
            self._sources.move_to_end(call_id)
        while len(self._sources) > _KEPT:
            self._sources.popitem(last=False)
        self._news.set()

    async def of(self, call_id: str | None, *, timeout: float) -> frozenset[IPAddress]:
        """Return every address that sent an INVITE with this Call-ID; empty when none is known.

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
        return frozenset(self._sources[call_id])

    def forget(self, call_id: str | None) -> None:
        """Drop what is known of a call that has ended."""
        if call_id is not None:
            self._sources.pop(call_id, None)

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
