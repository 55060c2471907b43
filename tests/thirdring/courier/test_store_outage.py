"""While the store is away nothing is lost, and everything goes on by itself afterwards."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from tests.peers.couriers import at_url, busy_store, running, state, until, write
from tests.peers.endpoint import serving
from tests.peers.postgresql import Postgresql
from tests.samples import ended
from thirdring.courier import run
from thirdring.errors import StoreError
from thirdring.home import Home
from thirdring.store.outbox import DeliveryState


async def test_a_locked_store_is_waited_for(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One alarm while it lasts, one word when it is over, every record in between delivered."""
    monkeypatch.setattr("thirdring.courier.service._RETRY_SECONDS", 0.05)
    monkeypatch.setattr("thirdring.courier.delivering._RETRY_SECONDS", 0.05)
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, ended(1))
        await endpoint.wait(1)
        monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
        with busy_store(home):
            for number in range(2, 5):
                await write(home, ended(1), call_id=f"call-{number}")
            await until(lambda: "ALARM: store" in caplog.text)
        await endpoint.wait(4)
        await until(lambda: "store: works again" in caplog.text)
        assert len(endpoint.arrivals) == 4
    assert caplog.text.count("ALARM") == caplog.text.count("works again") == 1
    assert await state(home, "call-4") is DeliveryState.DELIVERED


async def test_an_answer_is_noted_when_the_store_is_back(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What has arrived is not sent again by a courier that lives."""
    monkeypatch.setattr("thirdring.courier.delivering._GATHER_SECONDS", 0.2)
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, ended(1))
        await endpoint.wait(1)
        monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
        with busy_store(home):
            await until(lambda: "ALARM: store" in caplog.text)
        await until(lambda: "store: works again" in caplog.text)
    assert len(endpoint.arrivals) == 1
    assert await state(home) is DeliveryState.DELIVERED


async def test_a_run_of_one_round_says_that_the_store_has_failed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs it hears of the store, not of a group of tasks."""
    await write(home, ended(1))
    async with AsyncExitStack() as lock:

        async def answer(_: web.Request) -> web.Response:
            monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
            lock.enter_context(busy_store(home))
            return web.Response()

        async with serving(answer) as endpoint:
            with pytest.raises(StoreError, match="has kept the store locked"):
                await run(home, at_url(endpoint.url), once=True)
    assert await state(home) is DeliveryState.PENDING


async def test_a_courier_does_not_start_without_its_store(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says why, and touches no journal: its address may be wrong, or it may be up soon."""
    monkeypatch.setenv("THIRDRING_STORE", "postgresql://ring@127.0.0.1:1/ring")
    await write(home, ended(1))
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1"):
        await run(home, at_url("http://127.0.0.1:9/"))
    assert [path.name for path in home.journals.iterdir()] == ["call-1.jsonl"]


async def test_a_postgresql_that_is_restarted_is_waited_for(
    home: Home,
    postgresql: Postgresql,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The journal waits on disk; its record is delivered once the database is back."""
    environ = {"THIRDRING_STORE": postgresql.fresh()}
    monkeypatch.setenv("THIRDRING_STORE", environ["THIRDRING_STORE"])
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, ended(1))
        await endpoint.wait(1)
        postgresql.stop()
        try:
            await write(home, ended(1), call_id="call-2")
            await until(lambda: "ALARM: store" in caplog.text)
        finally:
            postgresql.start()
        await endpoint.wait(2)
        await until(lambda: "store: works again" in caplog.text)
    assert caplog.text.count("ALARM") == caplog.text.count("works again") == 1
    assert len(endpoint.arrivals) == 2
    assert await state(home, "call-2", environ=environ) is DeliveryState.DELIVERED
