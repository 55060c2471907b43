"""What both stores share: one thread that talks to the database, and how long it may wait."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from thirdring.errors import StoreError
from thirdring.store.store import Connection

__all__ = ["Deadline", "ThreadedStore", "migrations"]

T = TypeVar("T")

PATIENCE_SECONDS = 4.0
"""How long any one use of the store may wait, for its turn, a lock or an answer, in a call."""

GRACE_SECONDS = 0.5
"""How much later even a database that says nothing at all is given up."""


class Deadline:
    """Until when one use of the store may wait."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; none are negative."""
        return max(0.0, self._at - time.monotonic())


class ThreadedStore(ABC):
    """A store whose connection lives in a thread of its own.

    Not in the threads of `asyncio.to_thread`: while the database keeps us waiting, those have
    journals to write. One thread also lets the users of one connection take turns.

    Args:
        patience: How many seconds any one use may wait; as long as a caller, unless told otherwise.
    """

    def __init__(self, patience: float | None = None) -> None:
        self._given_patience = patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def _patience(self) -> float:
        return PATIENCE_SECONDS if self._given_patience is None else self._given_patience

    async def connect(self) -> None:
        """Connect now; see `Store`."""
        # Without the last limit: an old database may take its time to be brought up to date.
        deadline = Deadline(self._patience)
        await self._in_thread(lambda: self._transact(_nothing, deadline, writes=False))

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` finds; see `Store`."""
        return await self._use(work, writes=False)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction; see `Store`."""
        return await self._use(work, writes=True)

    async def close(self) -> None:
        """Let go of the connection; see `Store`."""
        if not self._closed:
            self._closed = True
            closing = self._thread.submit(self._disconnect)
            self._thread.shutdown(wait=False)
            _, late = await asyncio.wait([asyncio.wrap_future(closing)], timeout=PATIENCE_SECONDS)
            if late:
                self._interrupt()

    async def _use(self, work: Callable[[Connection], T], *, writes: bool) -> T:
        deadline = Deadline(self._patience)
        limit = asyncio.timeout(self._patience + GRACE_SECONDS)
        try:
            async with limit:
                return await self._in_thread(lambda: self._transact(work, deadline, writes=writes))
        except TimeoutError as error:
            if not limit.expired():
                raise
            self._interrupt()
            raise StoreError("the store does not answer") from error

    async def _in_thread(self, use: Callable[[], T]) -> T:
        if self._closed:
            raise StoreError("the store has been closed")
        return await asyncio.wrap_future(self._thread.submit(use))

    @abstractmethod
    def _transact(self, work: Callable[[Connection], T], deadline: Deadline, *, writes: bool) -> T:
        """Run `work` as one transaction, connecting first where needed; in the store's thread.

        Raises:
            StoreError: The database failed, or could not be had before the deadline.
        """

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the connection if there is one; in the store's thread."""

    @abstractmethod
    def _interrupt(self) -> None:
        """Wake the store's thread where it waits for a database that does not answer."""


def _nothing(_: Connection) -> None:
    """What it takes to connect is done before this."""


def migrations(backend: str) -> list[str]:
    """Return the scripts that make the tables of a back end, in order: the n-th makes version n."""
    folder = Path(__file__).parent / "migrations" / backend
    return [script.read_text(encoding="utf-8") for script in sorted(folder.glob("*.sql"))]
