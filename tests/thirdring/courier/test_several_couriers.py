"""Several couriers with homes of their own share one PostgreSQL."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

from aiohttp import web

from tests.peers.couriers import COURIER, child, record_in, write
from tests.peers.endpoint import Arrival, serving
from tests.peers.postgresql import Postgresql
from tests.samples import ended
from thirdring.home import Home

CALLS = 20


async def test_two_couriers_deliver_each_record_once(
    tmp_path: Path, postgresql: Postgresql
) -> None:
    """Whoever takes a delivery has it alone."""
    env = {**os.environ, "THIRDRING_STORE": postgresql.fresh()}
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    async with serving() as endpoint:
        async with (
            child(COURIER, str(homes[0].root), endpoint.url, "60", env=env),
            child(COURIER, str(homes[1].root), endpoint.url, "60", env=env),
        ):
            for number in range(CALLS):
                await write(homes[number % 2], ended(1), call_id=f"call-{number}")
            await endpoint.wait(CALLS)
        came = Counter(arrival.headers["webhook-id"] for arrival in endpoint.arrivals)
    assert (len(came), max(came.values())) == (CALLS, 1)
    print(f"{CALLS} records, 0 came twice")  # noqa: T201 - beside the zero


async def test_what_a_dead_courier_had_taken_goes_to_another(
    tmp_path: Path, postgresql: Postgresql
) -> None:
    """Killed in the post, on a machine that never comes back: the other one delivers."""
    env = {**os.environ, "THIRDRING_STORE": postgresql.fresh()}
    dead, alive = Home(tmp_path / "dead"), Home(tmp_path / "alive")

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(hang) as endpoint:
        async with child(COURIER, str(dead.root), endpoint.url, "2", env=env):
            await write(dead, ended(1))
            await endpoint.wait(1)
        async with child(COURIER, str(alive.root), endpoint.url, "2", env=env):
            arrivals: list[Arrival] = await endpoint.wait(2)
    first, second = arrivals
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert record_in(second).call_id == "call-1"
