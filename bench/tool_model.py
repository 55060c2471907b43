"""A realtime server that calls a tool in every turn: `python -m bench.tool_model`.

It is the local server, scripted, behind a tap on its WebSocket: the tap notes when a function call
has left and when the `response.create` that answers it has come. Its address is the first line that
it prints; when its input ends, it prints the milliseconds between the two, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from local.caller.priority import real_time
from local.realtime.brain import Act, Call, Prompt, Say
from local.realtime.reflex import ReflexEars, ReflexScribe, ToneVoice
from local.realtime.server import Settings, serve
from local.realtime.session import Engine

__all__ = ["TOOL"]

TOOL = "nothing"


class _Brain:
    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        done = bool(prompt.items) and prompt.items[-1].kind == "function_call_output"
        yield Say("Done.") if done else Call(TOOL, '{"word": "now"}')

    def foresee(self, _prompt: Prompt) -> str | None:
        return None


@dataclass
class _Tap:
    server: str
    http: aiohttp.ClientSession
    waits: list[float] = field(default_factory=list)
    _called_at: float | None = None

    async def connected(self, request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse(max_msg_size=0)
        await client.prepare(request)
        key = {"Authorization": request.headers["Authorization"]}
        address = f"{self.server}/realtime?{request.query_string}"
        async with self.http.ws_connect(address, headers=key, max_msg_size=0) as server:
            down = asyncio.create_task(self._down(client, server))
            async for message in client:
                if self._called_at is not None and '"response.create"' in message.data:
                    self.waits.append((time.perf_counter() - self._called_at) * 1000)
                    self._called_at = None
                await server.send_str(message.data)
            down.cancel()
        return client

    async def _down(
        self, client: web.WebSocketResponse, server: aiohttp.ClientWebSocketResponse
    ) -> None:
        async for message in server:
            event = json.loads(message.data)
            called = event["type"] == "response.output_item.done"
            await client.send_str(message.data)
            if called and event["item"]["type"] == "function_call":
                self._called_at = time.perf_counter()


async def _run() -> None:
    engine = Engine(ReflexEars, ReflexScribe(), _Brain(), ToneVoice(0.0))
    async with serve(Settings(port=0), engine) as server, aiohttp.ClientSession() as http:
        tap = _Tap(server.url, http)
        app = web.Application()
        app.router.add_get("/v1/realtime", tap.connected)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps(tap.waits), flush=True)
        await runner.cleanup()


if __name__ == "__main__":
    with real_time():
        asyncio.run(_run())
