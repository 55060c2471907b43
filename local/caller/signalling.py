"""The SIP socket of one call: datagrams and timers for `local.caller.sip`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Final, cast

from local.caller.dialog import Address
from local.caller.errors import CallerError
from local.caller.sip import OutgoingCall
from local.caller.sip_events import Event
from local.caller.sip_message import SipUri

__all__ = ["Signalling", "local_host_towards", "open_signalling", "resolve"]

_IP_RECVERR: Final = 11  # not in the socket module; linux/in.h


class Signalling(asyncio.DatagramProtocol):
    """Drives one call's state machine; `on_event` is called with each event and its time."""

    def __init__(self, on_event: Callable[[Event, float], None]) -> None:
        self._on_event = on_event
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._call: OutgoingCall | None = None
        self.unreachable: asyncio.Future[OSError] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of DatagramTransport, whatever typeshed says (CPython's selector loop).
        self._transport = cast("asyncio.DatagramTransport", transport)

    @property
    def address(self) -> Address:
        """Where it listens."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return host, port

    def place(self, call: OutgoingCall) -> None:
        """Send the INVITE of `call` and serve it from now on."""
        self._call = call
        now = time.monotonic()
        call.start(now)
        self._pump(now)

    def hang_up(self) -> None:
        """CANCEL or BYE, whichever is right now."""
        assert self._call is not None
        now = time.monotonic()
        self._call.hang_up(now)
        self._pump(now)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        now = time.monotonic()
        if self._call is not None:
            self._call.receive(data, addr[:2], now)
            self._pump(now)

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, OSError) and not self.unreachable.done():
            self.unreachable.set_result(exc)

    def close(self) -> None:
        """Stop timers and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()

    def _tick(self) -> None:
        assert self._call is not None
        now = time.monotonic()
        self._call.tick(now)
        self._pump(now)

    def _pump(self, now: float) -> None:
        """Send and tell what the state machine has for us, and set its next timer."""
        assert self._call is not None
        assert self._transport is not None
        for data, destination in self._call.take_datagrams():
            self._transport.sendto(data, destination)
        for event in self._call.take_events():
            self._on_event(event, now)
        if self._timer is not None:
            self._timer.cancel()
        due = self._call.next_tick()
        if due is not None:
            # The event loop's clock is time.monotonic() as well.
            self._timer = asyncio.get_running_loop().call_at(due, self._tick)


def local_host_towards(destination: Address) -> str:
    """Return our own address on the way to `destination`.

    Raises:
        CallerError: There is no way, or no such name.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            *destination, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)  # sends nothing: UDP
            host: str = probe.getsockname()[0]
            return host
    except OSError as error:
        raise CallerError(
            f"cannot reach {destination[0]}:{destination[1]}: {error.strerror or error}"
        ) from error


def resolve(target: SipUri) -> Address:
    """Return the IP address and port of a SIP address.

    Raises:
        CallerError: Its name is unknown.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM)[0][4]
    except OSError as error:
        raise CallerError(f"{target.host}: {error.strerror or error}; use an IP address") from error
    return str(found[0]), int(found[1])


@contextlib.asynccontextmanager
async def open_signalling(
    host: str, on_event: Callable[[Event, float], None]
) -> AsyncIterator[Signalling]:
    """Open a SIP socket on a free port of `host`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.setblocking(False)  # noqa: FBT003 - the socket API's only form
    if sys.platform == "linux" and family == socket.AF_INET:
        # Else a port where nobody listens would cost 32 s of INVITEs: ICMP errors reach only
        # sockets that ask for them.
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    loop = asyncio.get_running_loop()
    _, signalling = await loop.create_datagram_endpoint(lambda: Signalling(on_event), sock=sock)
    try:
        yield signalling
    finally:
        signalling.close()
