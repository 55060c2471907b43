"""Adding records to a file, one line of JSON each."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from thirdring.sinks.results import DeliveryResult, Outcome

__all__ = ["FileSink"]

LOCK_SECONDS = 10.0
LOOK_BACK_BYTES = 1024 * 1024

_LOCK_AGAIN_SECONDS = 0.02

# Of its own: one on a disk that hangs holds its thread, and asyncio's few are for everything else.
_WRITING = ThreadPoolExecutor(16, thread_name_prefix="file sink")


@dataclass(frozen=True)
class FileSink:
    """A file of one business.

    Several couriers may share it, and a business may move it away at any time: the next record
    begins a new one.

    Attributes:
        path: Made when it is not there, for its user only; its folder must be there.
        lock_seconds: How long to wait for another process that writes.
    """

    path: Path
    lock_seconds: float = LOCK_SECONDS
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    @property
    def address(self) -> str:
        return str(self.path)

    async def deliver(self, record_id: str, body: bytes, now: datetime) -> DeliveryResult:
        """Add `body` as the last line, unless it is one of the last already."""
        # Line breaks in JSON are white space: within strings they are escaped.
        line = body.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"
        loop = asyncio.get_running_loop()
        try:
            async with self._turn:
                await loop.run_in_executor(_WRITING, _append, self.path, line, self.lock_seconds)
        except OSError as error:
            why = error.strerror or type(error).__name__
            if isinstance(error, FileNotFoundError):
                why = "its folder is not there"
            return DeliveryResult(Outcome.RETRY, error=f"the file {self.path}: {why}"[:200])
        return DeliveryResult(Outcome.DELIVERED)


def _append(path: Path, line: bytes, lock_seconds: float) -> None:
    with _locked(path, time.monotonic() + lock_seconds) as descriptor:
        size = os.fstat(descriptor).st_size
        start = max(0, size - LOOK_BACK_BYTES - len(line))
        tail = b"\n" + os.pread(descriptor, size - start, start)
        # What came before a crash, or before its delivery could be noted, comes again.
        if b"\n" + line in tail:
            return
        # A line that was torn by a power cut must not swallow the next.
        text = line if tail.endswith(b"\n") else b"\n" + line
        try:
            _write(descriptor, text)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        if size == 0:
            _sync_folder(path.parent)


@contextmanager
def _locked(path: Path, until: float) -> Iterator[int]:
    """Open the file that has this name once it is locked.

    Raises:
        OSError: It cannot be opened, is no file, or somebody else holds it for too long.
    """
    while True:
        # Not blocking: of a pipe nobody may ever read.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(0, "is no regular file")
            _lock(descriptor, until)
            if _is_at(path, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _lock(descriptor: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise OSError(0, "another process has locked it for too long") from None
            time.sleep(_LOCK_AGAIN_SECONDS)
        else:
            return


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
