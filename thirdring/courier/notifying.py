"""From the queue of notifications to staff, each address at its own pace."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Final, Protocol

from pydantic import SecretStr

from thirdring.clock import Clock
from thirdring.courier.forward_clock import ForwardClock, elapsed
from thirdring.courier.trouble import Trouble
from thirdring.errors import StoreError
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.schedule import jitter_of, next_attempt
from thirdring.staff import Target
from thirdring.store.notifications import (
    DueNotification,
    NotificationQueue,
    NotificationState,
    Sending,
)

__all__ = ["Announce", "Notifier"]

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
"""What a courier that died had taken is another one's after so long at most."""

AT_ONCE: Final = 64
"""Attempts at one time, of all addresses together."""

GRACE_SECONDS: Final = 2.5
_HANGING_SECONDS: Final = 30.0
"""An attempt that lasts longer keeps no other one from beginning."""

_LOOK_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.5
_FIRST_REST, _LONGEST_REST = 1.0, 60.0


class Announce(Protocol):
    """Tells somebody, in a thread of its own; see `thirdring.courier.announcing`."""

    def __call__(
        self, address: SecretStr, *, title: str, body: str, urgent: bool
    ) -> str | None: ...


class Notifier:
    """Sends what is due, and notes what came of it.

    A notification that is taken from the queue is ours alone until its lease ends. Whoever dies
    before it is noted has perhaps sent it: it is sent again then.

    Args:
        addresses: Where to send; what is for others waits until the file has them again.
        owner: Whose leases these are; the same after a restart.
        trouble: Told when the store fails.
    """

    def __init__(
        self,
        queue: NotificationQueue,
        addresses: Mapping[Target, SecretStr],
        announce: Announce,
        *,
        owner: str,
        clock: Clock,
        trouble: Trouble,
    ) -> None:
        self._queue = queue
        self._addresses = addresses
        self._announce = announce
        self._owner = owner
        self._clock = ForwardClock(clock, elapsed)
        self._trouble = trouble
        self._slots = AT_ONCE
        self._busy: set[Target] = set()
        self._to_note: dict[Target, Sending] = {}
        self._failures: dict[Target, int] = {}
        self._rests_until: dict[Target, float] = {}
        self._tried_at: dict[Target, float] = {}
        self._wake = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look into the queue now."""
        self._wake.set()

    async def prepare(self) -> None:
        """Give up what an earlier run of this courier had taken.

        Raises:
            StoreError: The store cannot be used.
        """
        await self._queue.release(self._owner)

    async def run_forever(self) -> None:
        """Send until cancelled; attempts that are under way then get a moment to end."""
        try:
            while True:
                self._wake.clear()
                if await self._trouble.tried("notifying", self._look, rest=_RETRY_SECONDS):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_SECONDS):
                            await self._wake.wait()
        finally:
            await self._let_end()

    async def run_once(self) -> None:
        """Try everything that is due now once; an address that fails or hangs is left alone then.

        Raises:
            StoreError: The store cannot be used.
        """
        try:
            while await self._look() or self._to_note or self._slots < AT_ONCE:
                await self._wake.wait()
                self._wake.clear()
        finally:
            await self._let_end()

    async def _let_end(self) -> None:
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=GRACE_SECONDS)
        for attempt in self._attempts:
            attempt.cancel()
        with suppress(StoreError):
            await self._settle()
            await self._queue.release(self._owner)

    async def _look(self) -> int:
        """Note what came of attempts, then begin others; return how many."""
        await self._settle()
        return await self._begin()

    async def _begin(self) -> int:
        """Begin as many attempts as may be; return how many."""
        now = elapsed()
        free = [
            target
            for target in self._addresses
            if target not in self._busy and self._rests_until.get(target, 0.0) <= now
        ]
        free.sort(key=lambda target: self._tried_at.get(target, 0.0))
        if not free or self._slots <= 0:
            return 0
        claimed = await self._queue.claim(
            self._owner, self._clock.now(), lease=LEASE, free=free, limit=self._slots
        )
        for due in claimed:
            self._slots -= 1
            self._busy.add(due.target)
            self._tried_at[due.target] = now
            attempt = asyncio.create_task(self._attempt(due))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        return len(claimed)

    async def _attempt(self, due: DueNotification) -> None:
        address = self._addresses[due.target]
        sending = _in_a_thread(
            lambda: self._announce(address, title=due.title, body=due.body, urgent=due.urgent)
        )
        _, hanging = await asyncio.wait([sending], timeout=_HANGING_SECONDS)
        self._slots += 1
        if hanging:
            self._wake.set()
            logger.warning(
                "call %s: address %d of %s of %s does not answer, and gets nothing until it does",
                due.call_id,
                due.target.channel + 1,
                due.target.recipient,
                due.target.business,
                extra={"call_id": due.call_id},
            )
        error = await sending
        came = self._to_note[due.target] = self._judged(due, error)
        self._rest(due.target, failed=error is not None)
        self._report(due, came)
        self._wake.set()

    async def _settle(self) -> None:
        batch = dict(self._to_note)
        if batch:
            await self._queue.settle([*batch.values()], owner=self._owner, now=self._clock.now())
        for target in batch:
            del self._to_note[target]
            self._busy.discard(target)

    def _judged(self, due: DueNotification, error: str | None) -> Sending:
        if error is None:
            return Sending(due.id, NotificationState.SENT)
        failed = DeliveryResult(Outcome.RETRY, error=error)
        attempts = due.attempts + 1
        jitter = jitter_of(due.id, attempts)
        due_at = next_attempt(failed, attempts, self._clock.now(), jitter)
        state = NotificationState.DEAD if due_at is None else NotificationState.PENDING
        return Sending(due.id, state, due_at, error)

    def _rest(self, target: Target, *, failed: bool) -> None:
        failures = self._failures.get(target, 0) + 1 if failed else 0
        self._failures[target] = failures
        rest = min(_LONGEST_REST, _FIRST_REST * 2.0 ** min(failures - 1, 10)) if failed else 0.0
        self._rests_until[target] = elapsed() + rest

    def _report(self, due: DueNotification, sending: Sending) -> None:
        then = f"again at {sending.due_at:%Y-%m-%d %H:%M:%S} UTC" if sending.due_at else "given up"
        came = "told" if sending.error is None else f"not told: {sending.error}; {then}"
        logger.log(
            logging.INFO if sending.error is None else logging.WARNING,
            "call %s: %s of %s, attempt %d: %s",
            due.call_id,
            due.target.recipient,
            due.target.business,
            due.attempts + 1,
            came,
            extra={"call_id": due.call_id},
        )


def _in_a_thread(work: Callable[[], str | None]) -> asyncio.Future[str | None]:
    """Run `work` in a thread that nobody waits for when the courier ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str | None] = loop.create_future()

    def set_result(result: str | None) -> None:
        if not done.done():
            done.set_result(result)

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # a mistake of ours: it must not look like one that was sent
            logger.exception("a notification was not sent")
            result = type(error).__name__
        with suppress(RuntimeError):  # the courier has ended meanwhile
            loop.call_soon_threadsafe(set_result, result)

    threading.Thread(target=run, name="notification", daemon=True).start()
    return done
