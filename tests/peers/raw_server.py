"""A server on loopback that answers with the bytes it is told to, and tells who came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

__all__ = ["Answer", "RawServer", "answering"]

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """What came to it.

    Attributes:
        connections: The host that each asked for by SNI; None without TLS.
        requests: Request lines and headers, as they came.
        came: Set once there is a request.
        sent: Bytes of answers that were taken off our hands.
    """

    port: int = 0
    connections: list[str | None] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0

    async def request(self, reader: asyncio.StreamReader) -> None:
        """Read one request to its end."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head)
        self.came.set()
        names = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
        await reader.readexactly(int(names.get(b"content-length", 0)))


@asynccontextmanager
async def answering(
    answer: Answer | bytes, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[RawServer]:
    """Listen on a free port; bytes answer every request of a connection, which stays open."""
    server = RawServer()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        secured = writer.get_extra_info("ssl_object")
        server.connections.append(getattr(secured, "asked_for", None))
        # The client may go away at any moment: that is its right.
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                await server.request(reader)
                if not isinstance(answer, bytes):
                    await answer(reader, writer)
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()

    if tls is not None:
        tls.sni_callback = _note_name
    listening = await asyncio.start_server(serve, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for writer in writers:
            writer.transport.abort()


def _note_name(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    connection.asked_for = name  # type: ignore[attr-defined]
