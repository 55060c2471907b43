"""A webhook receiver that costs next to nothing: `python -m bench.courier_receiver`.

It prints its port. `/hang/...` is never answered, everything else 204 at once. `GET /arrivals`
returns what was answered as JSON: path, webhook-id, and the time by the monotonic clock, which is
one for all processes of a machine. That list is empty afterwards.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

_arrivals: list[tuple[str, str, float]] = []


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            lines = bytes(self._data[:end]).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines[1:])
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._data) < whole:
                return
            del self._data[:whole]
            self._answer(lines[0].split()[1], headers)

    def _answer(self, path: str, headers: dict[str, str]) -> None:
        if path == "/arrivals":
            body = json.dumps(_arrivals).encode()
            _arrivals.clear()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)
        elif not path.startswith("/hang/"):
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            _arrivals.append((path, headers["webhook-id"], time.monotonic()))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
