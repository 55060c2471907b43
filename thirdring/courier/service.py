"""The process that sees every record delivered, whatever became of the job that took the call.

It shares nothing with jobs and worker but the home folder, and keeps nothing in memory that is not
on disk: killed at any moment, its successor goes on where it was. Its lock in the home folder is
touched every second while all is well, so that a supervisor can tell.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from thirdring.clock import Clock, SystemClock
from thirdring.courier.collecting import Collector
from thirdring.errors import PhoneError, StoreError
from thirdring.home import Home
from thirdring.settings import Settings
from thirdring.sinks import Sink, open_sinks
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.schedule import next_attempt
from thirdring.store import open_store
from thirdring.store.outbox import DeliveryState, Due, Endpoint, Outbox, Settlement

__all__ = ["run"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_DUE_SECONDS = 1.0
_DELIVERIES_AT_ONCE = 32
_DELIVERIES_PER_ENDPOINT = 8
_LEASE = timedelta(minutes=2)
_OWNER = "courier"
_SETTLED = {
    Outcome.DELIVERED: DeliveryState.DELIVERED,
    Outcome.DISABLED: DeliveryState.PARKED,
    Outcome.RETRY: DeliveryState.PENDING,
}


async def run(
    home: Home, settings: Settings, *, once: bool = False, clock: Clock | None = None
) -> None:
    """Turn finished journals into records and deliver them, until cancelled.

    Args:
        once: Return when no journal is finished and every delivery that is due has been tried.
        clock: The machine's unless told otherwise.

    Raises:
        PhoneError: Another courier works on this home, or the store cannot be used.
    """
    with _only_courier(home):
        async with open_store(home, os.environ) as store, open_sinks(settings, home) as sinks:
            await store.connect()
            courier = _Courier(home, settings, Outbox(store), sinks, clock or SystemClock())
            logger.info("courier ready, watching %s", home.journals)
            await (courier.run_once() if once else courier.run_forever())


def _lock(home: Home) -> Path:
    return home.root / "courier.lock"


@contextmanager
def _only_courier(home: Home) -> Iterator[None]:
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.journals.mkdir(mode=0o700, exist_ok=True)
    path = _lock(home)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            raise PhoneError(
                f"{home.root}: another courier (process {owner}) works here; stop that one, or "
                "set THIRDRING_HOME to another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        os.close(descriptor)


class _Courier:
    def __init__(
        self,
        home: Home,
        settings: Settings,
        outbox: Outbox,
        sinks: Mapping[tuple[str, str], Sink],
        clock: Clock,
    ) -> None:
        self._lock = _lock(home)
        self._collector = Collector(home, settings, outbox, clock)
        self._sinks = {Endpoint(*key): sink for key, sink in sinks.items()}
        self._outbox = outbox
        self._clock = clock
        self._under_way: dict[Due, Endpoint] = {}
        self._begun = False
        self._wake = asyncio.Event()
        self._journals_fail = False

    async def run_forever(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_collecting())
            await self._keep_delivering(group)

    async def run_once(self) -> None:
        await self._collector.collect()
        try:
            while fresh := await self._due():
                async with asyncio.TaskGroup() as group:
                    self._start(group, fresh)
        except StoreError:
            logger.exception("the store cannot be used")

    async def _keep_collecting(self) -> None:
        while True:
            try:
                if await self._collector.collect():
                    self._wake.set()
                self._journals_fail = False
                await asyncio.sleep(_LOOK_SECONDS)
            except OSError:
                self._journals_fail = True
                logger.exception("journals cannot be read; tried again every %s s", _DUE_SECONDS)
                await asyncio.sleep(_DUE_SECONDS)

    async def _keep_delivering(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            try:
                self._start(group, await self._due())
                self._say_well()
            except StoreError:
                logger.exception("the store cannot be read; tried again every %s s", _DUE_SECONDS)
            try:
                async with asyncio.timeout(_DUE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _say_well(self) -> None:
        if not self._journals_fail:
            with suppress(OSError):  # a disk that is full or gone shows elsewhere
                os.utime(self._lock)

    async def _due(self) -> list[Due]:
        room = _DELIVERIES_AT_ONCE - len(self._under_way)
        now = self._clock.now()
        if not self._begun:
            await self._outbox.release(_OWNER)
            addresses = {endpoint: sink.address for endpoint, sink in self._sinks.items()}
            await self._outbox.configure(addresses, now)
            self._begun = True
        free = dict.fromkeys(self._sinks, _DELIVERIES_PER_ENDPOINT)
        for endpoint in self._under_way.values():
            free[endpoint] -= 1
        return await self._outbox.claim(_OWNER, now, lease=_LEASE, limit=room, free=free)

    def _start(self, group: asyncio.TaskGroup, due: list[Due]) -> None:
        for item in due:
            self._under_way[item] = item.endpoint
            group.create_task(self._deliver(item))

    async def _deliver(self, due: Due) -> None:
        try:
            await self._attempt(due)
        except StoreError:
            # It may be sent again; its id tells the receiver that it is the same.
            logger.exception("call %s: its delivery could not be noted", due.call_id)
            self._begun = False
            await asyncio.sleep(_DUE_SECONDS)
        finally:
            self._under_way.pop(due, None)
            self._wake.set()

    async def _attempt(self, due: Due) -> None:
        result = await self._sinks[due.endpoint].deliver(due.record_id, due.body, self._clock.now())
        attempts, now = due.attempts + 1, self._clock.now()
        state, due_at = _SETTLED[result.outcome], None
        if state is DeliveryState.PENDING:
            due_at = next_attempt(result, attempts, now, random.uniform(-1, 1))
            state = DeliveryState.DEAD if due_at is None else state
        settlement = Settlement(due.call_id, due.sink, state, result, due_at)
        await self._outbox.settle([settlement], owner=_OWNER, now=now)
        then = f"again at {due_at:%Y-%m-%d %H:%M:%S} UTC" if due_at else str(state)
        _report(due, result, attempts, then)


def _report(due: Due, result: DeliveryResult, attempts: int, then: str) -> None:
    level = logging.INFO if result.outcome is Outcome.DELIVERED else logging.WARNING
    logger.log(
        level,
        "call %s: record to %s, attempt %d: %s; %s",
        due.call_id,
        due.business,
        attempts,
        result.error or f"HTTP {result.status}",
        then,
        extra={"call_id": due.call_id, "record_id": due.record_id, "status": result.status},
    )
