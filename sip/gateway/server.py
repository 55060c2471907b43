"""The gateway itself: the SIP stack, its lines, and the desk that takes their calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Final

import baresip
from baresip import BaresipError
from livekit import api

from sip.gateway.addresses import GatewayAddress, allowed_networks, free_port
from sip.gateway.call import Patience
from sip.gateway.core import Core
from sip.gateway.desk import Desk, Records
from sip.gateway.entrances import PER_LINE, Entrances
from sip.gateway.interfaces import follow_interfaces
from sip.gateway.room import Rooms
from sip.gateway.trace import InviteTrace
from thirdring.access import LiveKitAccess
from thirdring.clock import SystemClock
from thirdring.errors import ConfigError, PartError
from thirdring.home import Home
from thirdring.settings import Business, GatewaySettings, Line, Settings

__all__ = ["fixed_at_start", "serve"]

logger = logging.getLogger(__name__)

_MOST_HANDLES: Final = 1000
_MOST_REFUSED: Final = 64
"""Calls beyond `max_calls` that may be on their way to a refusal, and a record, at one time."""

_PORTS_PER_CALL: Final = 4


async def serve(
    settings: Settings,
    access: LiveKitAccess,
    home: Home,
    *,
    changes: AsyncIterable[Settings] | None = None,
    on_ready: Callable[[GatewayAddress], None] | None = None,
    patience: Patience | None = None,
) -> None:
    """Put every line of `settings` on the phone until cancelled.

    On cancellation all calls are hung up and all rooms left. Only one gateway can run in a process.

    Args:
        home: Where the journals of calls are opened; the worker's and the Courier's, too.
        changes: Yields settings whose lines and `allowed_addresses` count from now on.
        on_ready: Called once, when calls are taken.
        patience: How long to wait for what.

    Raises:
        ConfigError: It would listen for others than this machine without `allowed_addresses`, or
            the home cannot be used.
        PartError: The port is taken, or the SIP stack did not start or died.
    """
    patience = patience or Patience()
    gateway = settings.gateway
    networks = allowed_networks(gateway)
    address = GatewayAddress(gateway.host, free_port(gateway.host, gateway.port))
    lines = _lines(settings)
    at_once = _calls_at_once(gateway, len(lines))
    records = Records(home, SystemClock())
    trace = InviteTrace(asyncio.get_running_loop())
    failure: PartError | None = None
    try:
        async with (
            api.LiveKitAPI(
                access.url, access.api_key, access.api_secret.get_secret_value()
            ) as server,
            # The stack takes calls until it has ended.
            asyncio.TaskGroup() as refusals,
            _stack(gateway, address, patience, trace, at_once) as (runtime, core),
            asyncio.TaskGroup() as calls,
        ):
            calls.create_task(follow_interfaces(core))
            rooms = Rooms(access, server, home.id)
            desk = Desk(gateway, networks, rooms, records, trace, patience, core, calls, refusals)
            await (entrances := _entrances(runtime, address, desk, at_once)).lead_to(lines)
            logger.info("gateway is ready", extra={"address": str(address), "lines": len(lines)})
            if changes is not None:
                calls.create_task(_follow(changes, entrances, desk))
            if on_ready is not None:
                on_ready(address)
            try:
                await _death(runtime)
            finally:
                desk.stopping.set()
    except* PartError as group:
        failure = PartError("; ".join(str(error) for error in group.exceptions))
    if failure is not None:
        raise failure


def fixed_at_start(settings: Settings) -> Mapping[str, object]:
    """Return what a running gateway cannot change, by the names of the file."""
    gateway = settings.gateway
    return {
        "gateway.listen": (gateway.host, gateway.port),
        "gateway.rtp_ports": gateway.rtp_ports,
        "gateway.max_calls": gateway.max_calls,
    }


def _lines(settings: Settings) -> list[tuple[Business, Line]]:
    return [(business, line) for business in settings.businesses for line in business.lines]


def _entrances(
    runtime: baresip.Runtime, address: GatewayAddress, desk: Desk, at_once: int
) -> Entrances:
    room = (_MOST_HANDLES - at_once) // PER_LINE
    return Entrances(runtime, address, take=desk.take, turn_away=desk.turn_away, room=room)


async def _follow(changes: AsyncIterable[Settings], entrances: Entrances, desk: Desk) -> None:
    async for settings in changes:
        try:
            # For the address that is listened on, whatever the file says by now.
            here = settings.gateway.model_copy(update={"host": desk.gateway.host})
            desk.networks = allowed_networks(here)
        except ConfigError as error:
            logger.warning("gateway still lets in whom it did: %s", error)
        try:
            await entrances.lead_to(_lines(settings))
        except BaresipError as error:
            logger.warning("gateway could not take up new lines: %s", error)


async def _death(runtime: baresip.Runtime) -> None:
    died = asyncio.Event()
    runtime.on_dead = died.set
    await died.wait()
    raise PartError("the gateway's SIP stack died; start the gateway again")


def _calls_at_once(gateway: GatewaySettings, lines: int) -> int:
    """Return how many calls the stack takes: some more than may talk, for the refusal of each.

    Raises:
        PartError: There are too many lines and calls for the stack.
    """
    spare = _MOST_HANDLES - PER_LINE * lines - gateway.max_calls
    if spare < 0:
        raise PartError(
            f"{lines} lines and {gateway.max_calls} calls are too many for one gateway; "
            f"{PER_LINE} per line and 1 per call may be {_MOST_HANDLES} at most"
        )
    first, last = gateway.rtp_ports
    ports = (last - first + 1) // _PORTS_PER_CALL - gateway.max_calls
    return gateway.max_calls + max(0, min(_MOST_REFUSED, spare, ports))


@asynccontextmanager
async def _stack(
    gateway: GatewaySettings,
    address: GatewayAddress,
    patience: Patience,
    trace: InviteTrace,
    at_once: int,
) -> AsyncIterator[tuple[baresip.Runtime, Core]]:
    first, last = gateway.rtp_ports
    config = baresip.Config(
        # Without it the stack finds its interfaces itself, and leaves out loopback.
        net_interface=None if ip_address(gateway.host).is_unspecified else gateway.host,
        expose_headers=("From",),
        sip_trace=True,
        max_concurrent_calls=at_once,
        rtp_timeout=patience.media,
        extra_config_text=(
            f"sip_listen {address}\n"
            "sip_transports udp,tcp\n"
            f"rtp_ports {first}-{last}\n"
            # The default holds 100 ms back, and drops what follows when a sequence starts anew.
            # Late packets are the business of the jitter buffer that the room's receiver has.
            "audio_jitter_buffer_type off\n"
            # By default answering one call puts all others on hold.
            "call_hold_other_calls no\n"
        ),
    )
    runtime = baresip.Runtime()
    with trace.reading(), _quiet():
        try:
            await runtime.start(config)
        except BaresipError as error:
            raise PartError(
                f"the gateway's SIP stack did not start on {address}: {error}"
            ) from error
        core = Core(runtime)
        try:
            with core.reached():
                yield runtime, core
        finally:
            await runtime.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the stack's own log to warnings; its INFO records carry whole phone numbers."""
    stack = logging.getLogger("baresip")
    level = stack.level
    stack.setLevel(logging.WARNING)
    try:
        yield
    finally:
        stack.setLevel(level)
