"""A webhook receiver that forgets nothing: a delivery is a line in a file before its answer."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from pydantic import JsonValue, SecretStr

from thirdring.sinks.signing import verify

__all__ = ["Receiver", "make_app"]

_LARGEST_BODY = 16 * 1024 * 1024
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True)
class Receiver:
    """Where deliveries go.

    Attributes:
        out: A JSON-lines file; each line has `received_at`, `headers`, `verified` and `body`.
        secret: What the sender signs with; None checks nothing, and `verified` is then null.
    """

    out: Path
    secret: SecretStr | None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def healthz(self, _: web.Request) -> web.Response:
        """Say that it listens."""
        return web.Response(text="ok\n")

    async def receive(self, request: web.Request) -> web.Response:
        """Note a delivery: 204, or 401 when its signature is wrong."""
        body = await request.read()
        now = datetime.now(UTC)
        verified = None if self.secret is None else verify(self.secret, request.headers, body, now)
        line = {
            "received_at": now.isoformat(),
            "headers": {
                name: request.headers[name] for name in _HEADERS if name in request.headers
            },
            "verified": verified,
            "body": _parsed(body),
        }
        async with self._turn:
            await asyncio.to_thread(_append, self.out, json.dumps(line).encode() + b"\n")
        return web.Response(status=401 if verified is False else 204)


def _parsed(body: bytes) -> JsonValue:
    try:
        value: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
    return value


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def make_app(receiver: Receiver) -> web.Application:
    """Return the application: `GET /healthz` and `POST /`."""
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.add_routes([web.get("/healthz", receiver.healthz), web.post("/", receiver.receive)])
    return app
