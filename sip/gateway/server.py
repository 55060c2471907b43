"""The gateway itself: listens, admits, and runs one `BridgedCall` per call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

import baresip
from baresip import BaresipError
from livekit import api

from sip.gateway.addresses import (
    GatewayAddress,
    IPNetwork,
    allowed_networks,
    free_port,
    is_allowed,
    is_own,
)
from sip.gateway.call import BridgedCall, Patience
from sip.gateway.core import Core
from sip.gateway.interfaces import follow_interfaces
from sip.gateway.invitation import invitation, masked
from sip.gateway.room import CallRoom
from sip.gateway.trace import InviteTrace, Origin
from thirdring.access import LiveKitAccess
from thirdring.calls import PhoneNumber
from thirdring.errors import PartError
from thirdring.settings import GatewaySettings, Settings

__all__ = ["serve"]

logger = logging.getLogger(__name__)

_MOST_HANDLES: Final = 1000
_SOURCE_WAIT: Final = 0.5
_UNSEEN: Final = "its INVITE is longer than 8 kB, and where it came from cannot be seen"


async def serve(
    settings: Settings,
    access: LiveKitAccess,
    *,
    on_ready: Callable[[GatewayAddress], None] | None = None,
    patience: Patience | None = None,
) -> None:
    """Put every line of `settings` on the phone until cancelled.

    On cancellation all calls are hung up and all rooms left. Only one gateway can run in a process.

    Args:
        on_ready: Called once, when calls are taken.
        patience: How long to wait for what.

    Raises:
        ConfigError: It would listen for others than this machine without `allowed_addresses`.
        PartError: The port is taken, or the SIP stack did not start or died.
    """
    patience = patience or Patience()
    gateway = settings.gateway
    networks = allowed_networks(gateway)
    address = GatewayAddress(gateway.host, free_port(gateway.host, gateway.port))
    lines = [line.number for business in settings.businesses for line in business.lines]
    trace = InviteTrace(asyncio.get_running_loop())
    failure: PartError | None = None
    try:
        async with (
            api.LiveKitAPI(
                access.url, access.api_key, access.api_secret.get_secret_value()
            ) as server,
            _stack(gateway, address, patience, trace) as (runtime, core),
            asyncio.TaskGroup() as calls,
        ):
            calls.create_task(follow_interfaces(core))
            desk = _Desk(access, server, gateway.host, networks, trace, patience, core, calls)
            await _register(runtime, address, lines, gateway.max_calls, desk.take)
            logger.info("gateway is ready", extra={"address": str(address), "lines": len(lines)})
            if on_ready is not None:
                on_ready(address)
            await _death(runtime)
    except* PartError as group:
        failure = PartError("; ".join(str(error) for error in group.exceptions))
    if failure is not None:
        raise failure


async def _death(runtime: baresip.Runtime) -> None:
    died = asyncio.Event()
    runtime.on_dead = died.set
    await died.wait()
    raise PartError("the gateway's SIP stack died; start the gateway again")


@dataclass(frozen=True)
class _Desk:
    """Takes the calls that come in."""

    access: LiveKitAccess
    server: api.LiveKitAPI
    host: str
    networks: tuple[IPNetwork, ...]
    trace: InviteTrace
    patience: Patience
    core: Core
    calls: asyncio.TaskGroup

    def take(self, line: PhoneNumber, sip: baresip.Call) -> None:
        """Start a new call's task; the stack's event loop callback calls this."""
        invited = invitation(line, peer=sip.peer, sip_call_id=sip.call_id, headers=sip.headers)
        room = CallRoom(self.access, self.server, invited)
        call = BridgedCall(sip, room, invited, self.patience, self.core)
        self.calls.create_task(self._admit(sip, call, masked(invited.caller)))

    async def _admit(self, sip: baresip.Call, call: BridgedCall, caller: str) -> None:
        origin = await self.trace.of(sip.call_id, timeout=_SOURCE_WAIT)
        sources = origin.sources
        if is_allowed(sources, self.networks, listening=self.host):
            _warn_of_nat(origin, caller)
            with self.trace.holds(sip.call_id, call.note_hold):
                await call.run()
            return
        why = "its address is not in gateway.allowed_addresses" if sources else _UNSEEN
        logger.warning(
            "gateway refused a call: %s",
            why,
            extra={"sources": sorted(map(str, sources)), "caller": caller},
        )
        try:
            await sip.reject()
        except BaresipError as error:
            logger.debug("refused call was gone: %s", error)


def _warn_of_nat(origin: Origin, caller: str) -> None:
    """Say why a caller may hear nothing, for neither side of the call can see it."""
    at = origin.audio_at
    if at is None or at.is_unspecified or at in origin.sources:
        return
    # A trunk's media servers have public addresses; a softphone here may name any of this machine.
    if at.is_private and not is_own(at):
        logger.warning(
            "a caller wants its audio at a private address that its INVITE did not come from; "
            "if that is a phone behind NAT, it will hear nothing (docs/gateway.md, Sound)",
            extra={
                "audio_at": str(at),
                "sources": sorted(map(str, origin.sources)),
                "caller": caller,
            },
        )


async def _register(
    runtime: baresip.Runtime,
    address: GatewayAddress,
    lines: list[PhoneNumber],
    max_calls: int,
    take: Callable[[PhoneNumber, baresip.Call], None],
) -> None:
    """Make one user agent per number, spelling and transport; the stack answers 404 to others.

    Softphones and some trunks drop the `+`, so each line is known with and without it.
    """
    if 4 * len(lines) + max_calls > _MOST_HANDLES:
        raise PartError(
            f"{len(lines)} lines and {max_calls} calls are too many for one gateway; "
            f"4 per line and 1 per call may be {_MOST_HANDLES} at most"
        )
    for line in lines:
        for user in (line, line.removeprefix("+")):
            for transport in ("udp", "tcp"):
                agent = await baresip.UserAgent.create(
                    runtime,
                    baresip.Account(
                        user=user,
                        domain=str(address),
                        password="",
                        reg_interval=0,
                        transport=transport,
                        # No codec, no video. Else the stack puts it into every offer of its own,
                        # and takes it out of a call by a re-INVITE over which some phones hang up.
                        extra_params=("video_codecs",),
                    ),
                    # A REFER could make us dial numbers at our cost.
                    transfer_policy="reject",
                )
                agent.on_incoming(lambda call, line=line: take(line, call))


@asynccontextmanager
async def _stack(
    gateway: GatewaySettings, address: GatewayAddress, patience: Patience, trace: InviteTrace
) -> AsyncIterator[tuple[baresip.Runtime, Core]]:
    first, last = gateway.rtp_ports
    config = baresip.Config(
        # Without it the stack finds its interfaces itself, and leaves out loopback.
        net_interface=None if ip_address(gateway.host).is_unspecified else gateway.host,
        expose_headers=("From",),
        sip_trace=True,
        max_concurrent_calls=gateway.max_calls,
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
