"""Tools of a business's file in a call, and the service that they ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from tests.peers.endpoint import Endpoint
from tests.peers.tool_calls import Conversation, calling
from tests.samples import LOOPBACK
from thirdring.outside_settings import HttpArgument, HttpTool
from thirdring.store import Store
from tools.http_tools import http_tool

__all__ = ["SECRET", "TEXT", "base", "declared", "having", "text_answer", "used"]

SECRET = "sk-CANARY-7f3a9b"
TEXT = HttpArgument(description="What it says.")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def declared(url: str, **more: Any) -> HttpTool:
    """Return a tool that looks an order up, unless told otherwise."""
    settings: dict[str, Any] = {
        "name": "look_up_order",
        "description": "Look an order up.",
        "url": url,
        "arguments": {"order": TEXT},
        "headers": {"Authorization": SecretStr(f"Bearer {SECRET}")},
        "timeout_seconds": 5.0,
    }
    return HttpTool(**{**settings, **more})


@asynccontextmanager
async def having(store: Store, tool: HttpTool) -> AsyncIterator[Conversation]:
    """Yield a call whose model has a tool, and whose business may reach loopback."""
    async with calling(store, [http_tool(tool)]) as call:
        call.state.allowed_receivers = LOOPBACK
        yield call


def text_answer(text: str, status: int = 200, kind: str = "application/json") -> Answer:
    """Return an answer of this text."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, content_type=kind)

    return answer


async def used(store: Store, endpoint: Endpoint, tool: HttpTool, **arguments: object) -> str:
    """Return what the model hears of one use."""
    async with having(store, tool) as call:
        return await call.use(tool.name, None, **arguments)


def base(endpoint: Endpoint) -> str:
    """Return the server's origin."""
    return endpoint.url.removesuffix("/hook")
