"""The receiver of a run: keeps what came, byte for byte, and may strike while it comes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from local.chaos.ledger import Received

__all__ = ["Phase", "Receiver", "receiving"]

Phase = Literal["head", "body", "answered"]
"""When it strikes: the head of a POST has come, its body has, or its answer has been sent."""


@dataclass
class Receiver:
    """What has come, and what is to happen with the next deliveries.

    Attributes:
        ambushes: Each is done in the phase that it names, with the next delivery.
        slow_seconds: How long it takes over each; what nobody waits for any more is undone.
    """

    verifier: Webhook
    received: list[Received] = field(default_factory=list)
    ambushes: deque[tuple[Phase, Callable[[], None]]] = field(default_factory=deque)
    slow_seconds: float = 0.0

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Take one delivery: 204."""
        phase, strike = self.ambushes.popleft() if self.ambushes else (None, None)
        if strike is not None and phase == "head":
            strike()
        try:
            body = await request.read()
        except (web.HTTPException, ConnectionError):
            return web.Response(status=400)
        if self.slow_seconds:
            await asyncio.sleep(self.slow_seconds)
            if request.transport is None or request.transport.is_closing():
                return web.Response(status=400)
        self.received.append(self._judged(request, body))
        if strike is not None and phase == "body":
            strike()
        response = web.Response(status=204)
        with suppress(ConnectionError):  # the courier was killed, by us or another one
            await response.prepare(request)
            await response.write_eof()
        if strike is not None and phase == "answered":
            strike()
        return response

    def _judged(self, request: web.Request, body: bytes) -> Received:
        try:
            self.verifier.verify(body, dict(request.headers))
            verified = True
        except WebhookVerificationError:
            verified = False
        return Received(request.headers.get("webhook-id", ""), body, verified, time.time())


@asynccontextmanager
async def receiving(port: int, secret: str) -> AsyncIterator[Receiver]:
    """Listen on this port of 127.0.0.1."""
    receiver = Receiver(Webhook(secret))
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/", receiver.receive)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield receiver
    finally:
        await runner.cleanup()
