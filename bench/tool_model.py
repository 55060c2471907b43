"""A realtime server that calls a tool in every turn: `python -m bench.tool_model`.

It is the local server, scripted; its WebSocket notes when a function call has left and when the
`response.create` that answers it has come. Its address is the first line that it prints; when its
input ends, it prints the milliseconds between the two, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator

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


_waits: list[float] = []


class _Watched(web.WebSocketResponse):
    """A socket that notes when a call has left, and when it was answered."""

    _called_at: float | None = None

    async def send_str(self, data: str, compress: int | None = None) -> None:
        await super().send_str(data, compress)
        done = '"response.output_item.done"' in data
        if done and json.loads(data)["item"]["type"] == "function_call":
            self._called_at = time.perf_counter()

    async def receive(self, timeout: float | None = None) -> aiohttp.WSMessage:
        message = await super().receive(timeout)
        text = message.data if message.type is aiohttp.WSMsgType.TEXT else ""
        if self._called_at is not None and '"response.create"' in text:
            _waits.append((time.perf_counter() - self._called_at) * 1000)
            self._called_at = None
        return message


async def _run() -> None:
    # What the server makes for every connection, in this process.
    web.WebSocketResponse = _Watched  # type: ignore[assignment, misc]
    engine = Engine(ReflexEars, ReflexScribe(), _Brain(), ToneVoice(0.0))
    async with serve(Settings(port=0), engine) as server:
        print(server.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(json.dumps(_waits), flush=True)


if __name__ == "__main__":
    with real_time():
        asyncio.run(_run())
