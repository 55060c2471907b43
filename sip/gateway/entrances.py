"""The lines as the SIP stack knows them, and the calls that come to each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import baresip
from baresip import CallState, Event, StackEvent

from sip.gateway.addresses import GatewayAddress
from thirdring.settings import Business, Line

__all__ = ["PER_LINE", "Entrances"]

logger = logging.getLogger(__name__)

PER_LINE = 4
"""User agents of one line: with and without its `+`, by UDP and by TCP."""

_Take = Callable[[Business, Line, baresip.Call], None]
_TurnAway = Callable[[baresip.Call], None]


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


class Entrances:
    """One user agent per number, spelling and transport; the stack answers 404 to other numbers.

    Softphones and some trunks drop the `+`, so each line is known with and without it.

    Args:
        take: Called for each call; on the event loop.
        turn_away: Called for a call to a number that has no line any more: the stack forgets none.
        room: For how many numbers the stack has room.
    """

    def __init__(
        self,
        runtime: baresip.Runtime,
        address: GatewayAddress,
        *,
        take: _Take,
        turn_away: _TurnAway,
        room: int,
    ) -> None:
        self._runtime = runtime
        self._address = address
        self._take = take
        self._turn_away = turn_away
        self._room = room
        self._lines: dict[str, tuple[Business, Line]] = {}
        self._numbers: dict[int, str] = {}
        self._known: set[str] = set()
        self._early: list[StackEvent] = []

    async def lead_to(self, lines: Sequence[tuple[Business, Line]]) -> None:
        """Let calls in to these lines, and to no others from now on."""
        if not self._known:
            # Before the first of them is there: the stack listens already, and lets a call ring as
            # soon as it knows the number, whether anybody here has heard of the user agent or not.
            self._runtime.subscribe(self._on_event)
        self._lines = {line.number: (business, line) for business, line in lines}
        new = [line for _, line in lines if line.number not in self._known]
        for line in new[: max(0, self._room - len(self._known))]:
            for account in _accounts(line, self._address):
                # A REFER could make us dial numbers at our cost.
                agent = await baresip.UserAgent.create(
                    self._runtime, account, transfer_policy="reject"
                )
                self._lead(agent.handle, line.number)
            # Not before: a line that the stack did not take is tried again at the next change.
            self._known.add(line.number)
        left_out = [number for number in self._lines if number not in self._known]
        if left_out:
            logger.error(
                "gateway has no room for %d new lines until its next start: %s",
                len(left_out),
                ", ".join(left_out),
            )

    def _on_event(self, event: StackEvent) -> None:
        if event.event is not Event.CALL_INCOMING:
            return
        if event.ua in self._numbers:
            self._let_in(event)
        else:
            self._early.append(event)

    def _lead(self, agent: int, number: str) -> None:
        """Say to which number a user agent leads, and let in who came there before."""
        self._numbers[agent] = number
        waiting, self._early = self._early, []
        for event in waiting:
            self._on_event(event)

    def _let_in(self, event: StackEvent) -> None:
        call = baresip.Call(
            self._runtime,
            handle=event.call,
            ua_handle=event.ua,
            state=CallState.INCOMING,
            peer=event.peer,
            call_id=event.call_id,
            headers=event.headers,
        )
        found = self._lines.get(self._numbers[event.ua])
        if found is None:
            self._turn_away(call)
        else:
            self._take(*found, call)
