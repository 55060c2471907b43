"""Bytes that reach the disk without the event loop waiting for it.

A thread of its own writes and syncs, so that neither a slow disk nor a blocked event loop keeps a
turn from becoming durable. Whatever is appended during one sync goes out with the next: under load
many appends share one.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Condition, Thread
from typing import Final

__all__ = ["DurableFile", "sync_data"]

logger = logging.getLogger(__name__)

sync_data: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)
"""`fdatasync`; macOS has only `fsync`."""

RETRY_SECONDS = 0.2


class DurableFile:
    """An open file that grows at its end; owns its descriptor.

    A disk that fails is reported once; what was appended is kept in memory and written again until
    it succeeds.

    Args:
        descriptor: Open for writing; nothing else writes to it.
        name: What the log calls it.
        size: Bytes that are durable already; the first append goes behind them.
        sync: Makes a descriptor's data durable.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        name: str,
        size: int = 0,
        sync: Callable[[int], None] = sync_data,
    ) -> None:
        self._descriptor = descriptor
        self._name = name
        self._sync = sync
        # Guarded by the condition.
        self._changed = Condition()
        self._appended = bytearray()
        self._end = size
        self._durable = size
        self._waiting: list[tuple[int, Future[None]]] = []
        self._deadline: float | None = None
        self._closed = False
        # The thread's own.
        self._unsynced = bytearray()
        self._failing = False
        self._thread = Thread(target=self._run, name=f"durable {name}", daemon=True)
        self._thread.start()

    def append(self, data: bytes) -> None:
        """Have `data` written soon; never waits for the disk. Ignored once closing."""
        with self._changed:
            if self._deadline is None:
                self._appended += data
                self._end += len(data)
                self._changed.notify()

    async def flush(self) -> None:
        """Wait until all that was appended before is durable, however long the disk fails.

        Raises:
            OSError: It was closed, and the disk had failed to the end.
        """
        done: Future[None] = Future()
        with self._changed:
            if self._durable == self._end:
                return
            if self._closed:
                raise self._lost()
            self._waiting.append((self._end, done))
        await asyncio.wrap_future(done)

    async def close(self, *, patience: float = 5) -> None:
        """Write what is left and close the descriptor; may be called again.

        Args:
            patience: For how many seconds a failing disk is tried again before data is lost.
        """
        with self._changed:
            if self._deadline is None:
                self._deadline = time.monotonic() + patience
            self._changed.notify()
        await asyncio.to_thread(self._thread.join, patience + 1)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                self._unsynced += self._appended
                self._appended.clear()
                deadline = self._deadline
            if not self._unsynced and deadline is not None:
                break
            if self._store(self._unsynced):
                self._settle()
            elif deadline is not None and time.monotonic() > deadline:
                lost = len(self._unsynced)
                logger.error("%s: %d bytes are lost", self._name, lost, extra={"alarm": "journal"})
                break
            else:
                time.sleep(RETRY_SECONDS)
        self._abandon_flushes()
        with suppress(OSError):
            # A forked child that lives on has the same lock: closing alone would leave it there.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)

    def _has_work(self) -> bool:
        return bool(self._appended or self._unsynced or self._deadline is not None)

    def _store(self, data: bytearray) -> bool:
        # Always from the last durable byte on: after a failed sync the kernel may have dropped
        # pages that it still calls written, and a half-written line must not be written twice.
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(
                    self._descriptor, memoryview(data)[written:], self._durable + written
                )
            self._sync(self._descriptor)
        except OSError as error:
            if not self._failing:
                logger.exception(
                    "%s: cannot be written (%s); kept in memory and tried again every %s s. "
                    "Check the disk's free space and health",
                    self._name,
                    error.strerror,
                    RETRY_SECONDS,
                    extra={"alarm": "journal"},
                )
            self._failing = True
            return False
        if self._failing:
            logger.warning("%s: written again, nothing is lost", self._name)
        self._failing = False
        return True

    def _settle(self) -> None:
        with self._changed:
            self._durable += len(self._unsynced)
            reached = [done for end, done in self._waiting if end <= self._durable]
            self._waiting = [item for item in self._waiting if item[0] > self._durable]
        self._unsynced.clear()
        for done in reached:
            if done.set_running_or_notify_cancel():
                done.set_result(None)

    def _abandon_flushes(self) -> None:
        with self._changed:
            self._closed = True
            abandoned, self._waiting = self._waiting, []
        for _, done in abandoned:
            if done.set_running_or_notify_cancel():
                done.set_exception(self._lost())

    def _lost(self) -> OSError:
        return OSError(f"{self._name} was closed before all of it could be written")
