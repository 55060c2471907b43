"""Who gets in: takes the calls that the SIP stack tells of, and says no where it must."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

import baresip
from baresip import BaresipError, CallState

from sip.gateway.addresses import IPNetwork, is_allowed, is_own
from sip.gateway.call import BridgedCall, Patience
from sip.gateway.core import Core
from sip.gateway.invitation import Invitation, invitation, masked
from sip.gateway.journal import CallJournal
from sip.gateway.not_found import answer_not_found
from sip.gateway.room import CallRoom, Rooms
from sip.gateway.trace import InviteTrace, Origin
from sip.inbound import Departure
from thirdring.calls import EndReason
from thirdring.clock import Clock
from thirdring.home import Home
from thirdring.settings import Business, GatewaySettings, Line

__all__ = ["Desk", "Records"]

logger = logging.getLogger(__name__)

_SOURCE_WAIT: Final = 0.5
_RECORD_WAIT: Final = 1.0
"""How long a caller who is refused may hear it ring because the disk is slow."""

_REJECT_WAIT: Final = 1.0
"""A stack that ends tells nobody what became of its last commands."""

_UNSEEN: Final = "its INVITE is longer than 8 kB, and where it came from cannot be seen"


@dataclass(frozen=True)
class Records:
    """Where calls are written down, and by which clock."""

    home: Home
    clock: Clock

    def journal(self, invited: Invitation, business: Business, line: Line) -> CallJournal:
        """Return the journal of a call to this line; `open` makes it."""
        return CallJournal.of(invited, business, line, self.home, self.clock)


@dataclass(eq=False)
class Desk:
    """Takes the calls that come in.

    Attributes:
        networks: Who may call; may be changed at any time.
        calls: Where each call has its task.
        refusals: Where those have theirs that come while the gateway stops.
        stopping: Whether it does.
        admitted: The calls that were let in; those that are over count no more.
    """

    gateway: GatewaySettings
    networks: tuple[IPNetwork, ...]
    rooms: Rooms
    records: Records
    trace: InviteTrace
    patience: Patience
    core: Core
    calls: asyncio.TaskGroup
    refusals: asyncio.TaskGroup
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    admitted: set[baresip.Call] = field(default_factory=set)

    def take(self, business: Business, line: Line, sip: baresip.Call) -> None:
        """Start a new call's task; the stack's event loop callback calls this."""
        invited = invitation(
            line.number, peer=sip.peer, sip_call_id=sip.call_id, headers=sip.headers
        )
        journal = self.records.journal(invited, business, line)
        call = BridgedCall(
            sip,
            CallRoom(self.rooms, invited),
            invited,
            journal=journal,
            patience=self.patience,
            core=self.core,
        )
        group = self.refusals if self.stopping.is_set() else self.calls
        group.create_task(self._admit(sip, call, journal, masked(invited.caller)))

    def turn_away(self, sip: baresip.Call) -> None:
        """Answer 404: the number has no line any more."""
        group = self.refusals if self.stopping.is_set() else self.calls
        group.create_task(self._not_found(sip))

    async def _not_found(self, sip: baresip.Call) -> None:
        told = False

        def tell() -> None:
            nonlocal told
            told = answer_not_found(sip.call_id)

        await self.core.run(tell)
        if not told:
            await _reject(sip)

    async def _admit(
        self, sip: baresip.Call, call: BridgedCall, journal: CallJournal, caller: str
    ) -> None:
        origin = await self._origin(sip)
        if not is_allowed(origin.sources, self.networks, listening=self.gateway.host):
            why = "its address is not in gateway.allowed_addresses" if origin.sources else _UNSEEN
            sources = sorted(map(str, origin.sources))
            logger.warning(
                "gateway refused a call: %s", why, extra={"sources": sources, "caller": caller}
            )
            await _reject(sip)
        elif self.stopping.is_set():
            await self._refuse(sip, journal, caller, "gateway stopped")
        elif not self._has_room_for(sip):
            why = f"all {self.gateway.max_calls} lines are busy"
            await self._refuse(sip, journal, caller, why)
        else:
            _warn_of_nat(origin, caller)
            try:
                with self.trace.holds(sip.call_id, call.note_hold):
                    await call.run()
            finally:
                self.admitted.discard(sip)

    async def _origin(self, sip: baresip.Call) -> Origin:
        looking = asyncio.ensure_future(self.trace.of(sip.call_id, timeout=_SOURCE_WAIT))
        try:
            return await asyncio.shield(looking)
        except asyncio.CancelledError:
            # The gateway stops: a call that may come in leaves its record first.
            return await looking

    def _has_room_for(self, sip: baresip.Call) -> bool:
        busy = sum(one.state is not CallState.CLOSED for one in self.admitted)
        if busy >= self.gateway.max_calls:
            return False
        self.admitted.add(sip)
        return True

    async def _refuse(self, sip: baresip.Call, journal: CallJournal, caller: str, why: str) -> None:
        logger.warning("gateway refused a call: %s", why, extra={"caller": caller})
        try:
            await asyncio.wait({journal.open()}, timeout=_RECORD_WAIT)
            await _reject(sip)
        finally:
            await journal.over(Departure(EndReason.REFUSED, why))


async def _reject(sip: baresip.Call) -> None:
    try:
        async with asyncio.timeout(_REJECT_WAIT):
            await sip.reject()
    except (BaresipError, TimeoutError) as error:
        logger.debug("refused call was gone: %r", error)


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
