"""From the outbox to the sinks: who is tried when, and what becomes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from thirdring.clock import Clock
from thirdring.courier.forward_clock import ForwardClock, elapsed
from thirdring.courier.lane import AT_ONCE, Lane
from thirdring.courier.reporting import Reporter
from thirdring.courier.trouble import Trouble
from thirdring.errors import StoreError
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.schedule import jitter_of, next_attempt
from thirdring.sinks.sink import Sink
from thirdring.store.outbox import DeliveryState, Due, Endpoint, Outbox, Settlement

__all__ = ["Deliverer"]

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
"""What a courier that died had taken is another one's after so long at most."""

GRACE_SECONDS: Final = 2.5
"""How long attempts that are under way may take to end when the courier is stopped."""

# Of the lease: an attempt lasts 15 s at most, and noting it takes a moment too.
_START_WITHIN: Final = 35.0
_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.5
_GATHER_SECONDS: Final = 0.02
_AHEAD, _AHEAD_OF_ALL = 64, 512
"""How many deliveries are taken from the outbox at one time, for one endpoint and for all."""

_LONGEST_WAIT: Final = timedelta(hours=29)
"""No attempt is put off for longer; the schedule's longest is 24 h and a fifth."""

_BACK_AFTER: Final = 3
_BACK_SECONDS: Final = 600.0


class Deliverer:
    """Tries what is due, each endpoint at its own pace, and notes what came of it.

    A delivery that is taken from the outbox is ours alone until the lease ends, and forgotten only
    when its attempt has been noted. Whoever dies in between has perhaps sent it: it is sent again
    then, with the same id and the same bytes.

    Args:
        owner: Whose leases these are; the same after a restart.
        trouble: Told when the store fails.
        elapsed: Seconds by a clock that nobody sets.
    """

    def __init__(
        self,
        outbox: Outbox,
        sinks: Mapping[Endpoint, Sink],
        *,
        owner: str,
        clock: Clock,
        trouble: Trouble,
        elapsed: Callable[[], float] = elapsed,
    ) -> None:
        self._outbox = outbox
        self._sinks = sinks
        self._lanes = {endpoint: Lane(endpoint) for endpoint in sinks}
        self._owner = owner
        self._clock = clock
        self._elapsed = elapsed
        self._due_clock = ForwardClock(clock, elapsed)
        self._trouble = trouble
        self._held: set[tuple[str, str]] = set()
        self._settlements: list[Settlement] = []
        self._back: set[Endpoint] = set()
        self._hastened_at: dict[Endpoint, float] = {}
        self._parking: dict[tuple[str, str], Lane] = {}
        self._group: asyncio.TaskGroup
        self._attempts: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._to_settle = asyncio.Event()
        self._reporter = Reporter()

    def wake(self) -> None:
        """Look into the outbox now."""
        self._wake.set()

    async def prepare(self) -> None:
        """Give up what an earlier run of this courier had taken; tell the store of all addresses.

        Raises:
            StoreError: The store cannot be used.
        """
        now = self._due_clock.now()
        if released := await self._outbox.release(self._owner):
            logger.info("%d deliveries were under way when the last run ended", released)
        addresses = {endpoint: sink.address for endpoint, sink in self._sinks.items()}
        for endpoint in await self._outbox.configure(addresses, now):
            logger.warning(
                "%s: the address of its %s has changed: what was parked is delivered",
                endpoint.business,
                endpoint.sink,
            )
        # Put off by a clock that was years ahead.
        await self._outbox.hasten(now, beyond=now + _LONGEST_WAIT)

    async def run_forever(self) -> None:
        """Deliver until cancelled; attempts that are under way then get a moment to end."""
        async with self._attempting(), asyncio.TaskGroup() as group:
            group.create_task(self._keep_claiming())
            group.create_task(self._keep_settling())
            group.create_task(self._reporter.run_forever())

    async def run_once(self) -> None:
        """Try everything that is due now once.

        Raises:
            StoreError: The store cannot be used.
        """
        began, at = self._due_clock.now(), self._elapsed()
        async with self._attempting():
            while True:
                self._wake.clear()
                lasted = timedelta(seconds=self._elapsed() - at)
                claimed = await self._claim(began, LEASE + lasted)
                self._feed_all()
                if self._settlements:
                    await self._settle()
                elif self._held or any(map(self._rests, self._lanes.values())):
                    await self._woken()
                elif not claimed:
                    break

    @asynccontextmanager
    async def _attempting(self) -> AsyncIterator[None]:
        """Have attempts run; leaving the context lets them end, notes them, gives up the rest."""
        failure: StoreError | None = None
        for lane in self._lanes.values():
            lane.closed = lane in self._parking.values()
        try:
            async with asyncio.TaskGroup() as self._group:
                try:
                    yield
                except StoreError as error:
                    failure = error  # the group would wrap it, and nobody would know it again
                finally:
                    await self._let_end()
        finally:
            with suppress(StoreError):
                await self._settle()
                await self._outbox.release(self._owner)
            self._reporter.flush()
        if failure is not None:
            raise failure

    async def _let_end(self) -> None:
        for lane in self._lanes.values():
            lane.closed = True
        if self._attempts:
            logger.info("stopping: %d attempts are under way", len(self._attempts))
            await asyncio.wait(self._attempts, timeout=GRACE_SECONDS)
        for attempt in self._attempts:
            attempt.cancel()

    def _rests(self, lane: Lane) -> bool:
        return lane.rests(self._elapsed())

    async def _woken(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._wake.wait()

    async def _keep_claiming(self) -> None:
        while True:
            self._wake.clear()
            if await self._trouble.tried("claiming", self._look, rest=_RETRY_SECONDS):
                await self._woken()

    async def _look(self) -> None:
        await self._claim(self._due_clock.now(), LEASE)
        self._feed_all()

    async def _keep_settling(self) -> None:
        while True:
            await self._to_settle.wait()
            self._to_settle.clear()
            # What comes within this moment goes into the same transaction.
            await asyncio.sleep(_GATHER_SECONDS)
            while self._settlements:
                await self._trouble.tried("settling", self._settle, rest=_RETRY_SECONDS)

    async def _claim(self, now: datetime, lease: timedelta) -> int:
        """Take what is due and has room; return how much that is."""
        at = self._elapsed()
        lanes = list(self._lanes.values())
        self._forget(due for lane in lanes for due in lane.give_up(at))
        busy = max(1, sum(lane.busy for lane in lanes))
        ahead = min(_AHEAD, max(AT_ONCE, _AHEAD_OF_ALL // busy))
        free = {lane.endpoint: room for lane in lanes if (room := lane.room(at, ahead)) > 0}
        if not free:
            return 0
        claimed = await self._outbox.claim(
            self._owner, now, lease=lease, limit=sum(free.values()), free=free
        )
        # A clock that jumps may end leases of our own before their time.
        fresh = [due for due in claimed if (due.call_id, due.sink) not in self._held]
        self._held.update((due.call_id, due.sink) for due in fresh)
        found: dict[Endpoint, list[Due]] = {endpoint: [] for endpoint in free}
        for due in fresh:
            found[due.endpoint].append(due)
        for endpoint, dues in found.items():
            self._lanes[endpoint].take(dues, at + _START_WITHIN)
        return len(fresh)

    def _feed_all(self) -> None:
        for lane in self._lanes.values():
            self._feed(lane)

    def _feed(self, lane: Lane) -> None:
        for _ in range(lane.lacking(self._elapsed())):
            lane.workers += 1
            attempt = self._group.create_task(self._work(lane))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)

    async def _work(self, lane: Lane) -> None:
        """Try one delivery after the other as long as the lane has some to start."""
        while (due := lane.next(self._elapsed())) is not None:
            self._note(lane, due, await self._attempt(self._sinks[lane.endpoint], due))
            if lane.is_hungry():
                self._wake.set()
            self._feed(lane)
        lane.workers -= 1
        self._wake.set()

    async def _attempt(self, sink: Sink, due: Due) -> DeliveryResult:
        try:
            return await sink.deliver(due.record_id, due.body, self._clock.now())
        except Exception as error:
            # A mistake of ours, for sinks say in their result what went wrong. It must not keep
            # all others waiting, as a courier would that dies of this record again and again.
            logger.exception("call %s: its %s has failed", due.call_id, due.sink)
            return DeliveryResult(Outcome.RETRY, error=f"{type(error).__name__}: {error}"[:200])

    def _note(self, lane: Lane, due: Due, result: DeliveryResult) -> None:
        at = self._elapsed()
        due_at: datetime | None = None
        if result.outcome is Outcome.DELIVERED:
            state = DeliveryState.DELIVERED
            lane.succeed(due)
            self._note_whether_back(due, at)
        elif result.outcome is Outcome.DISABLED:
            state = DeliveryState.PARKED
            lane.fail(due, at)
            # Nothing more until the store knows: it parks the others.
            lane.closed = True
            self._parking[due.call_id, due.sink] = lane
            self._forget(lane.give_up_all())
        else:
            attempts = due.attempts + 1
            jitter = jitter_of(due.record_id, attempts)
            due_at = next_attempt(result, attempts, self._due_clock.now(), jitter)
            state = DeliveryState.DEAD if due_at is None else DeliveryState.PENDING
            asyncio.get_running_loop().call_later(lane.fail(due, at), self._wake.set)
        self._settlements.append(Settlement(due.call_id, due.sink, state, result, due_at))
        self._to_settle.set()
        self._reporter.attempt(due, result, state, due_at)

    def _note_whether_back(self, due: Due, at: float) -> None:
        # It had failed for minutes at least: what waits for a later attempt need not wait for it.
        # Not each time, for an endpoint that answers only now and then would never be left alone.
        last = self._hastened_at.get(due.endpoint)
        if due.attempts >= _BACK_AFTER and (last is None or at - last > _BACK_SECONDS):
            self._hastened_at[due.endpoint] = at
            self._back.add(due.endpoint)

    async def _settle(self) -> None:
        batch = self._settlements[:]
        await self._outbox.settle(batch, owner=self._owner, now=self._clock.now())
        del self._settlements[: len(batch)]
        for each in batch:
            self._held.discard((each.call_id, each.sink))
            if (lane := self._parking.pop((each.call_id, each.sink), None)) is not None:
                lane.closed = False
        for endpoint in list(self._back):
            now = self._due_clock.now()
            count = await self._outbox.hasten(now, beyond=now, endpoint=endpoint)
            self._back.discard(endpoint)
            if count:
                logger.info(
                    "the %s of %s answers again: %d records that waited are sent",
                    endpoint.sink,
                    endpoint.business,
                    count,
                )
                self._wake.set()

    def _forget(self, dues: Iterable[Due]) -> None:
        self._held.difference_update((due.call_id, due.sink) for due in dues)
