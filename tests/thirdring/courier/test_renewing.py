"""A courier goes by the configuration as it is now."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from tests.peers.couriers import TALK, at_url, busy_store, until, write
from tests.peers.endpoint import serving
from tests.samples import business, ended, settings
from thirdring.courier import run
from thirdring.courier.renewing import renewed
from thirdring.errors import PhoneError
from thirdring.home import Home
from thirdring.settings import Line, Settings


class Changes:
    """Settings that a test gives one after the other."""

    def __init__(self) -> None:
        self.given: asyncio.Queue[Settings] = asyncio.Queue()

    async def follow(self) -> AsyncGenerator[Settings]:
        while True:
            yield await self.given.get()


class Work:
    """Notes by which settings it is done."""

    def __init__(self) -> None:
        self.by: list[Settings] = []
        self.ended = 0

    async def __call__(self, settings: Settings) -> None:
        self.by.append(settings)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


async def test_records_go_where_the_file_says_now(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """What ends after a change of the webhook, and a business that is new, too."""
    caplog.set_level(logging.INFO, logger="thirdring.courier.service")
    changes = Changes()
    async with serving() as old, serving() as new, aclosing(changes.follow()) as follow:
        courier = asyncio.create_task(run(home, at_url(old.url), changes=follow))
        await write(home, *TALK, ended(9))
        await old.wait(1)
        clinic = business(url=new.url)
        other = clinic.model_copy(update={"slug": "garage"})
        changes.given.put_nowait(settings(clinic, other))
        await until(lambda: caplog.text.count("courier ready") == 2)
        await write(home, *TALK, ended(9), call_id="call-2")
        await write(home, *TALK, ended(9), call_id="call-3", slug="garage")
        await new.wait(2)
        courier.cancel()
        await asyncio.wait({courier})
    assert len(old.arrivals) == 1


async def test_a_change_while_the_store_is_away_waits_for_it(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A courier that runs does not end because somebody has edited the file meanwhile."""
    caplog.set_level(logging.INFO, logger="thirdring.courier")
    changes = Changes()
    async with serving() as old, serving() as new, aclosing(changes.follow()) as follow:
        courier = asyncio.create_task(run(home, at_url(old.url), changes=follow))
        await until(lambda: "courier ready" in caplog.text)
        monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
        with busy_store(home):
            await until(lambda: "ALARM: store" in caplog.text)
            changes.given.put_nowait(at_url(new.url))
            await until(lambda: caplog.text.count("ALARM: store") == 2)
        await write(home, *TALK, ended(9))
        await new.wait(1)
        courier.cancel()
        await asyncio.wait({courier})
    assert courier.cancelled()


async def test_other_lines_are_no_reason_to_begin_anew() -> None:
    """A courier asks nothing of them, and what is under way goes on."""
    work, changes = Work(), Changes()
    clinic = business()
    moved = clinic.model_copy(update={"lines": (Line(number="+12025550149", workflow="w"),)})
    named = clinic.model_copy(update={"name": "Another"})
    async with aclosing(changes.follow()) as follow:
        doing = asyncio.create_task(renewed(work, settings(clinic), follow))
        for one in (moved, named, named):
            changes.given.put_nowait(settings(one))
        await until(lambda: changes.given.empty() and len(work.by) == 2)
        assert (work.ended, work.by[1].businesses[0].name) == (1, "Another")
        doing.cancel()
        await asyncio.wait({doing})
    assert work.ended == 2


async def test_work_that_fails_is_not_begun_again() -> None:
    """Its error is the one that the program ends with."""

    async def fail(_: Settings) -> None:
        raise PhoneError("no")

    async with aclosing(Changes().follow()) as follow:
        with pytest.raises(PhoneError, match="no"):
            await renewed(fail, settings(business()), follow)
