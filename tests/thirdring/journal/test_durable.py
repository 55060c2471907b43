from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import threading
import time
from pathlib import Path

import pytest

from tests.samples import opened as first
from tests.samples import plain, spoken
from thirdring.journal import Journal, read
from thirdring.journal.durable import DurableFile, sync_data


class FlakyDisk:
    """Syncs like the real one after a number of failures."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.syncs = 0

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        if self.syncs <= self.failures:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync_data(descriptor)


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


async def test_appends_reach_the_file_in_order(tmp_path: Path) -> None:
    """What was appended is in the file, in order, when flush returns."""
    file = DurableFile(opened(tmp_path / "f"), name="f")
    for number in range(1000):
        file.append(b"%d\n" % number)
    await file.flush()
    assert (tmp_path / "f").read_bytes() == b"".join(b"%d\n" % n for n in range(1000))
    await file.close()


async def test_a_burst_shares_a_sync(tmp_path: Path) -> None:
    """A thousand appends cost a few syncs, not a thousand."""
    disk = FlakyDisk(0)
    file = DurableFile(opened(tmp_path / "f"), name="f", sync=disk.sync)
    for _ in range(1000):
        file.append(b"x")
    await file.close()
    assert disk.syncs < 500


async def test_a_failing_disk_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Entries outlive a disk that fails for a while, once each, and the log says so once."""
    file = DurableFile(opened(tmp_path / "f"), name="f", sync=FlakyDisk(3).sync)
    file.append(b"one\n")
    file.append(b"two\n")
    async with asyncio.timeout(20):
        await file.flush()
    await file.close()
    assert (tmp_path / "f").read_bytes() == b"one\ntwo\n"
    assert [r.levelno for r in caplog.records] == [logging.ERROR, logging.WARNING]


async def test_no_flush_returns_before_the_sync(tmp_path: Path) -> None:
    """An acknowledged line was written and then synced: with n appends, n times in that order."""
    synced: list[bytes] = []

    def sync(descriptor: int) -> None:
        sync_data(descriptor)
        synced.append((tmp_path / "f").read_bytes())

    file = DurableFile(opened(tmp_path / "f"), name="f", sync=sync)
    for number in range(200):
        file.append(b"%d\n" % number)
        await file.flush()
        assert synced[-1].endswith(b"%d\n" % number)
    await file.close()
    print("200 acknowledgements, 0 before their sync")  # noqa: T201 - beside the zero


async def test_a_sync_that_lasts_holds_the_acknowledgement(tmp_path: Path) -> None:
    """While the disk is at it the flush waits, and the event loop does not."""
    at_it, go_on = threading.Event(), threading.Event()

    def sync(descriptor: int) -> None:
        at_it.set()
        go_on.wait(20)
        sync_data(descriptor)

    file = DurableFile(opened(tmp_path / "f"), name="f", sync=sync)
    file.append(b"one\n")
    flushed = asyncio.ensure_future(file.flush())
    assert await asyncio.to_thread(at_it.wait, 20)
    assert not flushed.done()
    assert (tmp_path / "f").read_bytes() == b"one\n"
    go_on.set()
    await asyncio.wait_for(flushed, 20)
    await file.close()


async def test_a_full_disk_is_an_alarm_and_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The call goes on, somebody is told within a second, and all is there when there is room."""
    words = "What are your opening hours next week? " * 25
    turns = [spoken(number, text=words) for number in range(400)]
    alarm = threading.Event()

    class Watch(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if hasattr(record, "alarm"):
                alarm.set()
            return True

    caplog.handler.addFilter(Watch())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with Journal.create(tmp_path, first()) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
        try:
            began = time.monotonic()
            for turn in turns:
                journal.append(turn)
            assert await asyncio.to_thread(alarm.wait, 20)
            assert time.monotonic() - began < 1
            half = read(journal.path)
            assert not half.damaged_lines
            assert 1 < len(half.entries) < len(turns)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await asyncio.wait_for(journal.flush(), 20)
    whole = read(journal.path)
    assert [plain(entry) for entry in whole.entries] == [first(), *turns]
    assert not whole.damaged
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.ERROR, logging.WARNING]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
async def test_a_full_disk_does_not_keep_the_call(caplog: pytest.LogCaptureFixture) -> None:
    """Closing on a full disk ends, fails waiting flushes and says what is lost."""
    file = DurableFile(os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC), name="full")
    file.append(b"lost\n")
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        flushed = group.create_task(asyncio.wait_for(_failure(file), 20))
        await file.close(patience=0.1)
    assert "full was closed" in flushed.result()
    assert "5 bytes are lost" in caplog.text
    assert "full was closed" in await _failure(file)


async def _failure(file: DurableFile) -> str:
    with pytest.raises(OSError, match="closed") as caught:
        await file.flush()
    return str(caught.value)


async def test_nothing_is_appended_after_closing(tmp_path: Path) -> None:
    """A late append is ignored, and closing twice is harmless."""
    file = DurableFile(opened(tmp_path / "f"), name="f")
    file.append(b"kept")
    await file.close()
    file.append(b"late")
    await file.flush()
    await file.close()
    assert (tmp_path / "f").read_bytes() == b"kept"
