"""The lines as the SIP stack knows them, and the calls that come to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import baresip
from baresip import CallState, Event, StackEvent

from sip.gateway.addresses import GatewayAddress
from thirdring.settings import Business, Line

__all__ = ["PER_LINE", "open_entrances"]

PER_LINE = 4
"""User agents of one line: with and without its `+`, by UDP and by TCP."""

_Take = Callable[[Business, Line, baresip.Call], None]


async def open_entrances(
    runtime: baresip.Runtime,
    address: GatewayAddress,
    lines: Sequence[tuple[Business, Line]],
    take: _Take,
) -> None:
    """Make one user agent per number, spelling and transport; the stack answers 404 to others.

    Softphones and some trunks drop the `+`, so each line is known with and without it.

    Args:
        take: Called for each call; on the event loop.
    """
    entrances = _Entrances(runtime, take)
    # Before the first of them is there: the stack listens already, and lets a call ring as soon as
    # it knows the number, whether anybody here has heard of the user agent or not.
    runtime.subscribe(entrances.on_event)
    for business, line in lines:
        for account in _accounts(line, address):
            # A REFER could make us dial numbers at our cost.
            agent = await baresip.UserAgent.create(runtime, account, transfer_policy="reject")
            entrances.lead(agent.handle, business, line)


def _accounts(line: Line, address: GatewayAddress) -> Iterator[baresip.Account]:
    for user in (line.number, line.number.removeprefix("+")):
        for transport in ("udp", "tcp"):
            yield baresip.Account(
                user=user,
                domain=str(address),
                password="",
                reg_interval=0,
                transport=transport,
                # No codec, no video. Else the stack puts it into every offer of its own, and takes
                # it out of a call by a re-INVITE over which some phones hang up.
                extra_params=("video_codecs",),
            )


class _Entrances:
    def __init__(self, runtime: baresip.Runtime, take: _Take) -> None:
        self._runtime = runtime
        self._take = take
        self._lines: dict[int, tuple[Business, Line]] = {}
        self._early: list[StackEvent] = []

    def on_event(self, event: StackEvent) -> None:
        if event.event is not Event.CALL_INCOMING:
            return
        if event.ua in self._lines:
            self._let_in(event)
        else:
            self._early.append(event)

    def lead(self, agent: int, business: Business, line: Line) -> None:
        """Say to which line a user agent leads, and let in who came there before."""
        self._lines[agent] = business, line
        waiting, self._early = self._early, []
        for event in waiting:
            self.on_event(event)

    def _let_in(self, event: StackEvent) -> None:
        business, line = self._lines[event.ua]
        call = baresip.Call(
            self._runtime,
            handle=event.call,
            ua_handle=event.ua,
            state=CallState.INCOMING,
            peer=event.peer,
            call_id=event.call_id,
            headers=event.headers,
        )
        self._take(business, line, call)
