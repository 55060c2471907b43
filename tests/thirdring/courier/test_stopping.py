"""A courier that is stopped ends what it has begun and gives back the rest."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from tests.peers.couriers import at_url, state, write
from tests.peers.endpoint import serving
from tests.samples import ended
from thirdring.courier import run
from thirdring.home import Home
from thirdring.store import open_store
from thirdring.store.outbox import DeliveryState


async def leases(home: Home) -> int:
    async with open_store(home, {}) as store:
        rows = await store.read(
            lambda connection: connection.execute(
                "SELECT call_id FROM deliveries WHERE leased_by IS NOT NULL"
            ).fetchall()
        )
    return len(rows)


async def test_an_attempt_under_way_may_end(home: Home) -> None:
    """Its answer is waited for and noted, though the courier has been told to stop."""
    stopping = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await stopping.wait()
        return web.Response()

    async with serving(slow) as endpoint:
        await write(home, ended(1))
        courier = asyncio.create_task(run(home, at_url(endpoint.url)))
        await endpoint.wait(1)
        courier.cancel()
        await asyncio.sleep(0)
        stopping.set()
        await asyncio.wait([courier])
    assert courier.cancelled()
    assert (await state(home), await leases(home)) == (DeliveryState.DELIVERED, 0)


async def test_what_does_not_end_is_given_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lease outlives a courier that was stopped, and nothing counts as tried."""
    monkeypatch.setattr("thirdring.courier.delivering.GRACE_SECONDS", 0.1)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(hang) as endpoint:
        for number in range(3):
            await write(home, ended(1), call_id=f"call-{number}")
        courier = asyncio.create_task(run(home, at_url(endpoint.url)))
        await endpoint.wait(1)
        courier.cancel()
        await asyncio.wait([courier])
        assert courier.cancelled()
        assert await leases(home) == 0
        await run(home, at_url(endpoint.url), once=True)
        assert len(endpoint.arrivals) == 4
    print("3 deliveries, 0 leases left")  # noqa: T201 - beside the zero
