"""What is known of a caller, looked up while the phone rings: in time, or not at all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from thirdring.calls import Leg
from thirdring.clock import Clock
from thirdring.errors import StoreError
from thirdring.settings import Business
from thirdring.store import Store
from thirdring.store.memory import CallerMemory

__all__ = ["Recollection"]

logger = logging.getLogger(__name__)

LIMIT_SECONDS: Final = 0.05
"""What looking it up may take; a caller who is not recognised is served all the same."""

LONGEST: Final = 1500
"""Characters of all facts together; a prompt is paid for on every call."""


class Recollection:
    """Begins at once to read what is known of the caller of a leg.

    It reads through a connection of its own: a store that hangs hinders nobody but this.

    Args:
        open_store: Returns a store that is not connected yet.
        limit: Seconds that it may take; `LIMIT_SECONDS` unless told otherwise.
    """

    def __init__(
        self,
        open_store: Callable[[], Store],
        business: Business,
        leg: Leg,
        clock: Clock,
        *,
        limit: float | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.missed: str | None = None
        """Why nothing is known although something may be."""
        self._limit = LIMIT_SECONDS if limit is None else limit
        self._until = loop.time() + self._limit
        self._found: asyncio.Future[list[str] | StoreError] = loop.create_future()
        self._task: asyncio.Task[None] | None = None
        if leg.caller is None or not business.memory.enabled:
            self._found.set_result([])
            return
        since = clock.now() - timedelta(days=business.memory.retention_days)

        async def read(number: str) -> None:
            try:
                async with open_store() as store:
                    memory = CallerMemory(store, business.slug)
                    facts = await memory.recall(number, since=since)
                    self._found.set_result(_newest([fact.fact for fact in facts]))
            except StoreError as error:
                if not self._found.done():
                    self._found.set_result(error)

        self._task = asyncio.create_task(read(leg.caller))

    async def facts(self) -> list[str]:
        """Return what is known, the oldest first; nothing when it is not there in time."""
        left = self._until - asyncio.get_running_loop().time()
        await asyncio.wait([self._found], timeout=max(0.0, left))
        if not self._found.done():
            self.missed = f"the store did not answer within {self._limit * 1000:.0f} ms"
        elif isinstance(found := self._found.result(), StoreError):
            self.missed = str(found)
        else:
            return found
        logger.warning("what is known of the caller is left out: %s", self.missed)
        return []

    async def close(self) -> None:
        """Look no further."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def _newest(facts: Sequence[str]) -> list[str]:
    """Return the newest facts that fit in, the oldest of them first."""
    kept: list[str] = []
    for fact in reversed(facts):
        if sum(map(len, kept)) + len(fact) > LONGEST:
            break
        kept.insert(0, fact)
    return kept
