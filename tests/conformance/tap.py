"""A tap on the wire: stands between a client and the server, and keeps what both say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from tests.conformance.order import Transcript

__all__ = ["Tap", "tapped"]


@dataclass
class Tap:
    """Where to connect instead, and one transcript for each connection."""

    url: str
    transcripts: list[Transcript] = field(default_factory=list)


@asynccontextmanager
async def tapped(server_url: str) -> AsyncIterator[Tap]:
    """Listen in front of a realtime server; a `Violation` ends the connection."""
    async with aiohttp.ClientSession() as http:
        tap = Tap("")

        async def connected(request: web.Request) -> web.WebSocketResponse:
            transcript = Transcript()
            tap.transcripts.append(transcript)
            client = web.WebSocketResponse(max_msg_size=0)
            await client.prepare(request)
            key = {"Authorization": request.headers["Authorization"]}
            address = f"{server_url}/realtime?{request.query_string}"
            async with http.ws_connect(address, headers=key, max_msg_size=0) as server:
                await _both_ways(client, server, transcript)
            return client

        app = web.Application()
        app.router.add_get("/v1/realtime", connected)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        tap.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield tap
        await runner.cleanup()


async def _both_ways(
    client: web.WebSocketResponse, server: aiohttp.ClientWebSocketResponse, transcript: Transcript
) -> None:
    async def upwards() -> None:
        async for message in client:
            transcript.sent(json.loads(message.data))
            await server.send_str(message.data)
        await server.close()

    async def downwards() -> None:
        async for message in server:
            transcript.received(json.loads(message.data))
            await client.send_str(message.data)
        await client.close()

    async with asyncio.TaskGroup() as group:
        group.create_task(upwards())
        group.create_task(downwards())
