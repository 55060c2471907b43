from __future__ import annotations

import asyncio
import errno
import logging
import os
from pathlib import Path

import pytest

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
