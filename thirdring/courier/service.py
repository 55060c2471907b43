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
import resource
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from thirdring.clock import Clock, SystemClock
from thirdring.courier.announcing import announce, name_wrong_addresses
from thirdring.courier.collecting import Collector
from thirdring.courier.delivering import Deliverer
from thirdring.courier.doorbell import answering
from thirdring.courier.notifying import Notifier
from thirdring.courier.renewing import renewed
from thirdring.courier.sweeping import keep_sweeping, sweep
from thirdring.courier.trouble import Trouble
from thirdring.errors import PhoneError, StoreError
from thirdring.home import Home
from thirdring.journal import tidy
from thirdring.settings import Settings
from thirdring.sinks import open_sinks
from thirdring.staff import addresses
from thirdring.store import Store, open_store
from thirdring.store.notifications import NotificationQueue
from thirdring.store.outbox import Endpoint, Outbox

__all__ = ["run"]

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.05
_LOOK_AT_MOST: Final = 0.02
"""The share of a core that looking around may cost, however many calls go on."""

_LONGEST_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.5
_WELL_SECONDS: Final = 1.0
_Task = Callable[[], Coroutine[Any, Any, None]]

_NAMES_AT_ONCE: Final = 128
"""Host names of databases that are looked up at one time; `thirdring.guarded_http` has threads
of its own for those of webhooks. One that has no answer holds its thread for long."""


async def run(
    home: Home,
    settings: Settings,
    *,
    once: bool = False,
    clock: Clock | None = None,
    changes: AsyncIterator[Settings] | None = None,
) -> None:
    """Turn finished journals into records and deliver them, until cancelled.

    Args:
        once: Return when no journal is finished and every delivery that is due has been tried.
        clock: The machine's unless told otherwise.
        changes: Yields settings that count from now on.

    Raises:
        PhoneError: Another courier works on this home, or the store cannot be used.
    """
    with _only_courier(home) as lock:
        _allow_many_connections()
        async with open_store(home, os.environ) as store:
            await store.connect()
            await asyncio.to_thread(tidy, home.journals)
            runs = False

            async def work(settings: Settings) -> None:
                nonlocal runs
                again, runs = runs, True
                at = clock or SystemClock()
                await _work(home, store, lock, at, settings, once=once, again=again)

            if changes is None:
                await work(settings)
            else:
                await renewed(work, settings, changes)


async def _work(
    home: Home,
    store: Store,
    lock: Path,
    clock: Clock,
    settings: Settings,
    *,
    once: bool,
    again: bool,
) -> None:
    async with open_sinks(settings, home) as sinks:
        outbox = Outbox(store)
        trouble = Trouble("store", "calls go on, their records wait on disk, nothing is lost")
        deliverer = Deliverer(
            outbox,
            {Endpoint(*key): sink for key, sink in sinks.items()},
            owner=home.id,
            clock=clock,
            trouble=trouble,
        )
        targets = addresses(settings.businesses)
        notifier = Notifier(
            NotificationQueue(store),
            targets,
            announce,
            owner=home.id,
            clock=clock,
            trouble=trouble,
        )

        async def prepare() -> None:
            await deliverer.prepare()
            await notifier.prepare()

        if again:
            # A courier that runs bears with its store, whenever the configuration changes.
            while not await trouble.tried("preparing", prepare, rest=_RETRY_SECONDS):
                pass
        else:
            await prepare()

        def wake() -> None:
            deliverer.wake()
            notifier.wake()

        collector = Collector(home, settings, outbox, clock, on_stored=wake)
        if once:
            await collector.collect()
            await deliverer.run_once()
            await notifier.run_once()
            await sweep(store, settings.businesses, clock)
            return
        sweeping = partial(keep_sweeping, store, settings.businesses, clock)
        looking = partial(name_wrong_addresses, targets)
        tasks = (deliverer.run_forever, notifier.run_forever, sweeping, looking)
        courier = _Courier(collector, tasks, trouble, lock)
        with answering(home.root, courier.ring):
            logger.info("courier ready, watching %s", home.journals)
            await courier.run_forever()


@contextmanager
def _only_courier(home: Home) -> Iterator[Path]:
    home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.journals.mkdir(mode=0o700, exist_ok=True)
    path = home.root / "courier.lock"
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
        yield path
    finally:
        os.close(descriptor)


def _allow_many_connections() -> None:
    # Receivers that hang hold a connection each, and a thread each where their name does.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(OSError, ValueError):  # macOS allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="courier")
    )


class _Courier:
    def __init__(
        self, collector: Collector, tasks: Sequence[_Task], store: Trouble, lock: Path
    ) -> None:
        self._collector = collector
        self._tasks = tasks
        self._lock = lock
        self._store = store
        self._journals = Trouble("journals", "ended calls have no record until they can be read")
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Look for ended calls now."""
        self._rung.set()

    async def run_forever(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_collecting())
            for task in self._tasks:
                group.create_task(task())
            group.create_task(self._keep_saying_well())

    async def _keep_collecting(self) -> None:
        while True:
            self._rung.clear()
            pause = await self._collect()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._rung.wait()

    async def _collect(self) -> float:
        """Return how long to wait when nobody rings."""
        try:
            await self._collector.collect()
        except StoreError as error:
            self._store.begin("collecting", error)
            return _RETRY_SECONDS
        except OSError as error:
            self._journals.begin("collecting", error)
            return _RETRY_SECONDS
        self._store.end("collecting")
        self._journals.end("collecting")
        rest = self._collector.cost / _LOOK_AT_MOST
        return min(_LONGEST_LOOK_SECONDS, max(_LOOK_SECONDS, rest))

    async def _keep_saying_well(self) -> None:
        while True:
            if not (self._store.lasts or self._journals.lasts):
                with suppress(OSError):  # a disk that is full or gone shows elsewhere
                    os.utime(self._lock)
            await asyncio.sleep(_WELL_SECONDS)
