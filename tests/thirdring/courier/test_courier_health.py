"""A supervisor sees by the age of the courier's lock whether the courier works."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from pathlib import Path

import pytest

from tests.peers.couriers import at_url, busy_store, until
from tests.samples import business
from thirdring.courier import run
from thirdring.home import Home
from thirdring.settings import Settings


async def test_a_courier_that_works_touches_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It does so while it can read journals and store, and not while it cannot."""
    monkeypatch.setattr("thirdring.courier.service._WELL_SECONDS", 0)
    home = Home(tmp_path / "home")
    lock = home.root / "courier.lock"
    courier = asyncio.create_task(run(home, Settings(businesses=(business(),))))
    try:
        await until(lock.exists)
        os.utime(lock, (0, 0))
        await until(lambda: lock.stat().st_mtime > 0)
        shutil.rmtree(home.journals)
        await until(lambda: "ALARM: journals" in caplog.text)
        os.utime(lock, (0, 0))
        for _ in range(100):  # it would do so whenever it has its turn
            await asyncio.sleep(0)
        assert lock.stat().st_mtime == 0
        home.journals.mkdir()
        await until(lambda: "journals: works again" in caplog.text)
        await until(lambda: lock.stat().st_mtime > 0)
    finally:
        courier.cancel()
        await asyncio.wait([courier])
    assert courier.cancelled()


async def test_a_sweep_that_failed_is_no_reason_to_be_unwell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Records are delivered again long before it is tried again."""
    caplog.set_level(logging.INFO, logger="thirdring.courier.service")
    monkeypatch.setattr("thirdring.courier.sweeping._EVERY_SECONDS", 0.05)
    home = Home(tmp_path / "home")
    lock = home.root / "courier.lock"
    courier = asyncio.create_task(run(home, at_url("http://127.0.0.1:9/")))
    try:
        await until(lambda: "courier ready" in caplog.text)
        monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
        with busy_store(home):
            await until(lambda: "ALARM: sweep" in caplog.text)
            await until(lambda: "ALARM: store" in caplog.text)
        await until(lambda: "store: works again" in caplog.text)
        os.utime(lock, (0, 0))
        await until(lambda: lock.stat().st_mtime > 0)
    finally:
        courier.cancel()
        await asyncio.wait([courier])
    assert "sweep: works again" not in caplog.text
