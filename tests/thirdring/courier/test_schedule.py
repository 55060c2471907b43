"""When what fails is tried again: real receivers, a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiohttp import web

from tests.peers.couriers import at_url, state, until, write
from tests.peers.endpoint import Endpoint as Receiver
from tests.peers.endpoint import serving
from tests.samples import START, SetClock, ended
from thirdring.courier import run
from thirdring.courier.collecting import Collector
from thirdring.courier.delivering import Deliverer
from thirdring.courier.trouble import Trouble
from thirdring.home import Home
from thirdring.sinks import Sink, open_sinks
from thirdring.sinks.schedule import SCHEDULE
from thirdring.store import open_store
from thirdring.store.outbox import DeliveryState, Endpoint, Outbox

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no endpoint alone after a failure: those rests are of the machine's own clock."""
    monkeypatch.setattr("thirdring.courier.lane._FIRST_PAUSE", 0)


class Days:
    """Lets a courier work at the times that the clock is set to."""

    def __init__(self, home: Home, outbox: Outbox, sinks: Mapping[Endpoint, Sink]) -> None:
        self._home, self._outbox, self._sinks = home, outbox, sinks
        self.clock = SetClock()

    async def work(self) -> None:
        """Collect what has ended, try what is due."""
        collector = Collector(
            self._home, at_url("http://127.0.0.1/"), self._outbox, self.clock, lambda: None
        )
        await collector.collect()
        await self._deliverer().run_once()

    async def start(self) -> None:
        """Do what a courier does when it starts."""
        await self._deliverer().prepare()

    def _deliverer(self) -> Deliverer:
        return Deliverer(
            self._outbox, self._sinks, owner="days", clock=self.clock, trouble=Trouble("store", "")
        )


@asynccontextmanager
async def days(home: Home, receiver: Receiver) -> AsyncIterator[Days]:
    async with (
        open_store(home, {}) as store,
        open_sinks(at_url(receiver.url), home) as sinks,
    ):
        found = {Endpoint(*key): sink for key, sink in sinks.items()}
        await Outbox(store).configure({e: s.address for e, s in found.items()}, START)
        yield Days(home, Outbox(store), found)


async def test_an_outage_of_three_days_costs_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the receiver is back it gets every record, the oldest first, within ten attempts."""
    # One after the other, for what is under way at one time may overtake.
    monkeypatch.setattr("thirdring.courier.lane.AT_ONCE", 1)
    back = False

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=204 if back else 503)

    calls = [f"call-{number:02}" for number in range(12)]
    async with serving(*[answer] * 500) as receiver, days(home, receiver) as courier:
        for half_hour in range(144):
            if half_hour % 12 == 0:
                await write(home, ended(1), call_id=calls[half_hour // 12])
            await courier.work()
            courier.clock.moment += HOUR / 2
        tried = Counter(arrival.headers["webhook-id"] for arrival in receiver.arrivals)
        assert len(tried) == 12
        receiver.arrivals.clear()
        back = True
        while not receiver.arrivals:
            await courier.work()
            courier.clock.moment += HOUR / 2
        delivered = [_call_of(arrival.body) for arrival in receiver.arrivals]
    assert sorted(delivered) == calls
    assert delivered[1:] == [call for call in calls if call != delivered[0]]
    assert max(tried.values()) + 1 <= len(SCHEDULE)
    print("12 records, 72 h, 0 lost")  # noqa: T201 - beside the zero


def _call_of(body: bytes) -> str:
    return body.split(b'"call_id":"')[1].split(b'"')[0].decode()


async def test_a_receiver_may_ask_to_be_left_alone(home: Home) -> None:
    """`Retry-After` lengthens the wait, and is kept."""

    async def later(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "3600"})

    async with serving(later) as receiver, days(home, receiver) as courier:
        await write(home, ended(1))
        counts = []
        for minutes in (0, 10, 49, 2):
            courier.clock.moment += timedelta(minutes=minutes)
            await courier.work()
            counts.append(len(receiver.arrivals))
    assert counts == [1, 1, 1, 2]


async def test_a_receiver_that_is_gone_gets_nothing_more(home: Home) -> None:
    """After a 410 all its records are parked, new ones too, until its address changes."""
    clock = SetClock()
    async with serving(410) as gone, serving() as other:
        for call_id in ("call-1", "call-2"):
            await write(home, ended(1), call_id=call_id)
        await run(home, at_url(gone.url), once=True, clock=clock)
        await write(home, ended(1), call_id="call-3")
        clock.moment += 48 * HOUR
        await run(home, at_url(gone.url), once=True, clock=clock)
        assert len(gone.arrivals) == 1
        calls = ("call-1", "call-2", "call-3")
        assert [await state(home, call) for call in calls] == [DeliveryState.PARKED] * 3
        await run(home, at_url(other.url), once=True, clock=clock)
        assert sorted(_call_of(arrival.body) for arrival in other.arrivals) == list(calls)


@pytest.mark.parametrize("jump", [-HOUR, HOUR], ids=["back", "forward"])
async def test_a_clock_that_jumps_delays_nothing(
    home: Home,
    jump: timedelta,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A running courier tries again after seconds, and signs with the time that it is told."""
    monkeypatch.setattr("thirdring.courier.delivering._LOOK_SECONDS", 0.01)
    clock, seconds = SetClock(), [0.0]
    async with (
        serving(500) as receiver,
        open_store(home, {}) as store,
        open_sinks(at_url(receiver.url), home) as sinks,
    ):
        outbox = Outbox(store)
        deliverer = Deliverer(
            outbox,
            {Endpoint(*key): sink for key, sink in sinks.items()},
            owner="jumping",
            clock=clock,
            trouble=Trouble("store", ""),
            elapsed=lambda: seconds[0],
        )
        await deliverer.prepare()
        await write(home, ended(1))
        await Collector(home, at_url(receiver.url), outbox, clock, lambda: None).collect()
        courier = asyncio.create_task(deliverer.run_forever())
        try:
            await until(lambda: "again at" in caplog.text)
            clock.moment += jump
            seconds[0] += 7
            clock.moment += timedelta(seconds=7)
            _, second = await receiver.wait(2)
        finally:
            courier.cancel()
            await asyncio.wait([courier])
    assert int(second.headers["webhook-timestamp"]) == int(clock.moment.timestamp())
    assert await state(home) is DeliveryState.DELIVERED


async def test_a_clock_that_was_years_ahead_costs_no_years(home: Home) -> None:
    """What it put off is tried when the courier starts by the right one, then as planned."""
    async with serving(503, 503) as receiver, days(home, receiver) as courier:
        right = courier.clock.moment
        courier.clock.moment = right + timedelta(days=3650)
        await write(home, ended(1))
        await courier.work()
        courier.clock.moment = right
        await courier.work()
        assert len(receiver.arrivals) == 1, "put off for ten years"
        await courier.start()
        await courier.work()
        assert len(receiver.arrivals) == 2
        courier.clock.moment = right + timedelta(seconds=10)
        await courier.work()
        assert await state(home) is DeliveryState.DELIVERED
    assert len(receiver.arrivals) == 3
