"""No receiver ever waits for another one."""

from __future__ import annotations

import asyncio
from collections import Counter

from aiohttp import web

from tests.peers.couriers import running, until, write
from tests.peers.endpoint import serving
from tests.samples import business, ended, settings
from thirdring.home import Home

HANGING, RECORDS = 20, 6


async def test_twenty_receivers_that_hang_delay_nobody_else(home: Home) -> None:
    """Each of them holds one attempt, whatever waits for it; all others are answered meanwhile."""
    release = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(*[hang] * (HANGING * RECORDS)) as stuck, serving() as quick:
        slow = [business(url=f"{stuck.url}/{n}", slug=f"stuck_{n}") for n in range(HANGING)]
        for each in slow:
            for number in range(RECORDS):
                await write(home, ended(1), call_id=f"{each.slug}-{number}", slug=each.slug)
        async with running(home, settings(*slow, business(url=quick.url, slug="lakeside"))):
            await stuck.wait(HANGING)
            for number in range(20):
                await write(home, ended(1), call_id=f"quick-{number}", slug="lakeside")
            await quick.wait(20)
            assert set(Counter(arrival.path for arrival in stuck.arrivals).values()) == {1}
            release.set()
            await stuck.wait(HANGING * RECORDS)
    print(f"20 records beside {HANGING} receivers that hang, 0 waited")  # noqa: T201 - beside the zero


async def test_a_receiver_that_refuses_is_asked_less_and_less(home: Home) -> None:
    """One that fails at once is not asked in a tight loop, and others are answered meanwhile."""
    async with serving(*[500] * 1000) as failing, serving() as quick:
        businesses = (business(url=failing.url), business(url=quick.url, slug="lakeside"))
        for number in range(40):
            await write(home, ended(1), call_id=f"failing-{number}")
        async with running(home, settings(*businesses)):
            await failing.wait(3)
            for number in range(20):
                await write(home, ended(1), call_id=f"quick-{number}", slug="lakeside")
            await quick.wait(20)
            assert len(failing.arrivals) < 20
            await until(lambda: len(failing.arrivals) > 5)
