"""The connection to MCP servers: their library's HTTP client over our guarded one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import httpx
import httpx2

from thirdring.egress import Network
from thirdring.errors import EgressRefused
from thirdring.guarded_http import GuardedClient, authorities

__all__ = ["open_transport"]

ANSWER_BYTES: Final = 1024 * 1024
_SILENCE_SECONDS: Final = 300.0
"""A server keeps a stream open for what it may have to say; each call has its own limit."""

# They log the URL of each request, which may hold a secret, and ids of sessions, which are some.
for _name in ("httpx2", "mcp.client"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@asynccontextmanager
async def open_transport(allowed: tuple[Network, ...]) -> AsyncIterator[httpx2.AsyncBaseTransport]:
    """Yield a transport that reaches what `thirdring.egress` lets through, at each request."""
    limits = httpx.Limits(max_connections=16, keepalive_expiry=30)
    tls = await asyncio.to_thread(authorities)
    async with GuardedClient(allowed, limits=limits, timeout=_SILENCE_SECONDS, tls=tls) as client:
        yield _Transport(client)


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, client: GuardedClient) -> None:
        self._client = client

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        headers["accept-encoding"] = "identity"
        stack = AsyncExitStack()
        try:
            sending = self._client.sending(request.method, str(request.url), body, headers)
            response = await stack.enter_async_context(sending)
        except EgressRefused as error:
            raise httpx2.ConnectError(f"its URL {error.what}") from error
        except httpx.TimeoutException as error:
            raise httpx2.TimeoutException(str(error)) from error
        except httpx.HTTPError as error:
            raise httpx2.TransportError(f"{type(error).__name__}: {error}") from error
        stream = _Stream(response, stack)
        return httpx2.Response(response.status_code, headers=response.headers.raw, stream=stream)


class _Stream(httpx2.AsyncByteStream):
    def __init__(self, response: httpx.Response, stack: AsyncExitStack) -> None:
        self._response = response
        self._stack = stack

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._response.headers.get("content-encoding", "identity") != "identity":
            raise httpx2.ReadError("the server compresses, though asked not to")
        size = 0
        try:
            async for chunk in self._response.aiter_raw():
                size += len(chunk)
                if size > ANSWER_BYTES:
                    raise httpx2.ReadError("the server answers too much")
                yield chunk
        except httpx.HTTPError as error:
            raise httpx2.ReadError(f"{type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        await self._stack.aclose()
