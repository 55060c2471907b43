"""A courier that dies loses nothing, whenever it dies."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from aiohttp import web

from tests.peers.couriers import COURIER, TALK, at_url, busy_store, child, record_in, running, write
from tests.peers.endpoint import serving
from tests.samples import ended
from thirdring.courier import run
from thirdring.home import Home


@pytest.mark.parametrize("answered", [False, True], ids=["in the post", "after the post"])
async def test_its_successor_sends_the_same_again(home: Home, answered: bool) -> None:
    """Killed before it could note the answer: the same bytes under the same id, at once."""
    with ExitStack() as busy:

        async def answer(_: web.Request) -> web.Response:
            # What is answered cannot be noted.
            busy.enter_context(busy_store(home))
            if not answered:
                await asyncio.Event().wait()
            return web.Response()

        async with serving(answer) as endpoint:
            await write(home, *TALK, ended(9))
            async with child(COURIER, str(home.root), endpoint.url, "60"):
                await endpoint.wait(1)
            busy.close()
            async with running(home, at_url(endpoint.url)):
                first, second = await endpoint.wait(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert len(record_in(second).turns) == 3


async def test_a_record_that_was_not_stored_is_made_again(home: Home) -> None:
    """Killed before the post: the journal is there, or the record is."""
    async with serving() as endpoint:
        # It makes the store, which can be kept busy then.
        await run(home, at_url(endpoint.url), once=True)
        with busy_store(home):
            await write(home, *TALK, ended(9))
            async with child(COURIER, str(home.root), endpoint.url, "60") as courier:
                await asyncio.sleep(0)
                courier.kill()
                await courier.wait()
        await run(home, at_url(endpoint.url), once=True)
        (arrival,) = endpoint.arrivals
    assert len(record_in(arrival).turns) == 3
