"""A real HTTP server that answers webhooks as a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

__all__ = ["Arrival", "Endpoint", "serving"]

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Arrival:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """Where it listens and what has come; `answers` are given in order, then 204."""

    url: str = ""
    answers: list[int | Answer] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Note the request and give the next answer."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrivals.append(Arrival(request.path, headers, await request.read()))
        async with self._came:
            self._came.notify_all()
        answer = self.answers.pop(0) if self.answers else 204
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)

    async def wait(self, count: int) -> list[Arrival]:
        """Return all arrivals once there are `count`."""
        async with asyncio.timeout(20), self._came:
            await self._came.wait_for(lambda: len(self.arrivals) >= count)
        return self.arrivals


@asynccontextmanager
async def serving(*answers: int | Answer) -> AsyncIterator[Endpoint]:
    """Listen on a free port of 127.0.0.1."""
    endpoint = Endpoint(answers=list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", endpoint.receive)
    async with TestServer(app) as server:
        endpoint.url = str(server.make_url("/hook"))
        yield endpoint
