"""What receivers do wrong, and what becomes of the delivery."""

from __future__ import annotations

import asyncio
import gc
import gzip
import socket
import ssl
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from email.utils import format_datetime

import pytest
import trustme

from tests.peers.counts import tell
from tests.peers.raw_server import Answer, RawServer, answering
from tests.samples import LOOPBACK, SECRET, at
from thirdring.guarded_http import GuardedClient
from thirdring.settings import WebhookEndpoint
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.webhook import ANSWER_BYTES, LONGEST_WAIT, WebhookSink, open_client

BODY = b'{"a": 1}'
SHORT = 0.3
"""Of what never ends. What does end, and is to be delivered, has all the time that it wants."""


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with open_client(LOOPBACK) as opened:
        yield opened


async def attempt(
    client: GuardedClient, server: RawServer, *, timeout: float = 10, scheme: str = "http"
) -> DeliveryResult:
    url = f"{scheme}://127.0.0.1:{server.port}/hook"
    sink = WebhookSink(client, WebhookEndpoint(url=url, secret=SECRET), timeout=timeout)
    return await sink.deliver("id-1", BODY, at(0))


def head(status: int, *fields: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} Whatever", *fields, "", "")).encode()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    assert writer


async def drip_header(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(SHORT / 20)


async def drip_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(200, "Content-Length: 60000"))
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(SHORT / 20)


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    _linger(writer)


async def reset_in_header(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 O")
    await writer.drain()
    _linger(writer)


async def reset_in_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(200, "Content-Length: 1000") + b"half")
    await writer.drain()
    await asyncio.sleep(SHORT / 10)  # or the reset would overtake what was written
    _linger(writer)


def _linger(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


CHUNKED = head(200, "Transfer-Encoding: chunked")
DELIVERED = (Outcome.DELIVERED, 200)
AGAIN = (Outcome.RETRY, None)

FAULTS: dict[str, tuple[Answer | bytes, tuple[Outcome, int | None]]] = {
    # The status counts once it is known, whatever becomes of the rest.
    "a body that drips": (drip_body, DELIVERED),
    "a reset within the body": (reset_in_body, DELIVERED),
    "a chunk of no size": (CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", DELIVERED),
    "a chunk that ends early": (CHUNKED + b"5\r\nabc\r\n0\r\n\r\n", DELIVERED),
    "a huge chunk": (CHUNKED + b"ffffffffffffffff\r\nabc", DELIVERED),
    "gzip that is none": (
        head(200, "Content-Encoding: gzip", "Content-Length: 3") + b"abc",
        DELIVERED,
    ),
    "an error in the body": (head(200, "Content-Length: 15") + b'{"error": true}', DELIVERED),
    "an early hint first": (head(103, "Link: </x>") + head(200, "Content-Length: 0"), DELIVERED),
    # Without one it is tried again.
    "nothing said": (silent, AGAIN),
    "a header that drips": (drip_header, AGAIN),
    "a reset": (reset, AGAIN),
    "a reset within the header": (reset_in_header, AGAIN),
    "no HTTP": (b"220 mail.example ESMTP\r\n", AGAIN),
    "HTTP of no version": (b"HTTP/x 200 OK\r\n\r\n", AGAIN),
    "a status of no number": (b"HTTP/1.1 abc OK\r\n\r\n", AGAIN),
    "a header without an end": (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000, AGAIN),
    "two lengths": (head(200, "Content-Length: 1", "Content-Length: 2") + b"ab", AGAIN),
    "a negative length": (head(200, "Content-Length: -1"), AGAIN),
    "TLS where none is": (b"\x15\x03\x01\x00\x02\x02\x46", AGAIN),
}


ENDLESS = {"a body that drips", "a huge chunk"}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_faulty_answer_is_a_result(client: GuardedClient, fault: str) -> None:
    """Nothing a receiver says raises, and every attempt ends in time."""
    answer, expected = FAULTS[fault]
    limit = SHORT if expected is AGAIN else 1.0 if fault in ENDLESS else 10.0
    async with answering(answer) as server:
        began = time.monotonic()
        result = await attempt(client, server, timeout=limit)
        assert time.monotonic() - began < 5
    assert (result.outcome, result.status) == expected
    assert (result.error is None) == (expected is DELIVERED)
    assert len(server.requests) <= 1


STATUSES = {
    **dict.fromkeys((200, 201, 202, 204, 226, 299), Outcome.DELIVERED),
    410: Outcome.DISABLED,
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308), Outcome.RETRY),
    **dict.fromkeys((400, 401, 403, 404, 405, 409, 413, 415, 418, 422, 429, 451), Outcome.RETRY),
    **dict.fromkeys((500, 501, 502, 503, 504, 507, 511, 599), Outcome.RETRY),
}


async def test_every_status_has_its_result(client: GuardedClient) -> None:
    """2xx is done, 410 ends it, all else is tried again; only some may ask for patience."""
    for status, outcome in STATUSES.items():
        length = [] if status in (204, 304) else ["Content-Length: 0"]
        async with answering(head(status, "Retry-After: 77", *length)) as server:
            result = await attempt(client, server)
        assert (result.outcome, result.status) == (outcome, status)
        patient = status in (429, 502, 503, 504)
        assert result.retry_after == (timedelta(seconds=77) if patient else None)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("text", "wait"),
    [
        ("0", timedelta(0)),
        ("1", timedelta(seconds=1)),
        ("86400", LONGEST_WAIT),
        ("86401", LONGEST_WAIT),
        ("1000000000", LONGEST_WAIT),
        ("9" * 2000, LONGEST_WAIT),
        (format_datetime(at(90), usegmt=True), timedelta(seconds=90)),
        ("Friday, 20-Nov-26 15:01:30 GMT", timedelta(seconds=90)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        (format_datetime(at(-90), usegmt=True), None),
        *((text, None) for text in ("-5", "1.5", "1e9", "+1", "0x10", "soon", "", " ", "1, 2")),
        *(
            (text, None)
            for text in ("Fri, 99 Nov 2026 15:00:00 GMT", "Fri", ",,,", "%s%n", "\u0661")
        ),
    ],
)
async def test_retry_after_is_obeyed_within_a_day(
    client: GuardedClient, status: int, text: str, wait: timedelta | None
) -> None:
    """Seconds or a date; what is past, negative or garbage is none."""
    fields = f"Retry-After: {text}\r\nContent-Length: 0\r\n\r\n".encode()
    async with answering(f"HTTP/1.1 {status} Busy\r\n".encode() + fields) as server:
        result = await attempt(client, server)
    assert result == DeliveryResult(Outcome.RETRY, status, wait, f"HTTP {status}")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(client: GuardedClient, status: int) -> None:
    """Neither to the metadata of a cloud nor to a place that would be allowed."""
    async with answering(head(204)) as elsewhere:
        for target in (
            "http://169.254.169.254/",
            f"http://127.0.0.1:{elsewhere.port}/",
            "//[::1",
            "/x",
        ):
            async with answering(
                head(status, f"Location: {target}", "Content-Length: 0")
            ) as server:
                result = await attempt(client, server)
            assert (result.outcome, result.status) == (Outcome.RETRY, status)
            assert len(server.requests) == 1
        assert elsewhere.connections == []


async def test_a_gigabyte_is_left_where_it_is(client: GuardedClient) -> None:
    """Of a body no more is read than a little, and none of it is kept."""
    piece = bytes(65536)

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, "Content-Length: 1073741824"))
        for _number in range(16384):
            writer.write(piece)
            await writer.drain()
            server.sent += len(piece)

    async with answering(pour) as server:
        tracemalloc.start()
        result = await attempt(client, server)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (result.outcome, result.status) == DELIVERED
    # What the kernel takes on loopback is more than what we read.
    assert server.sent < 64 * ANSWER_BYTES
    assert peak < 20 * 1024 * 1024


async def test_a_gzip_bomb_is_not_unpacked(client: GuardedClient) -> None:
    """A megabyte of nothing that unpacks to a gigabyte stays packed."""
    bomb = gzip.compress(gzip.compress(bytes(64 * 1024 * 1024)))
    fields = ("Content-Encoding: gzip, gzip", f"Content-Length: {len(bomb)}")
    async with answering(head(200, *fields) + bomb) as server:
        tracemalloc.start()
        result = await attempt(client, server)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (result.outcome, result.status) == DELIVERED
    assert peak < 4 * 1024 * 1024


async def test_a_cookie_is_not_kept(client: GuardedClient) -> None:
    """Nothing of an answer is sent back with the next record."""
    answer = head(204, "Set-Cookie: a=b; Path=/; Domain=127.0.0.1", "Set-Cookie: c=d")
    async with answering(answer) as server:
        for _ in range(3):
            await attempt(client, server)
    assert len(server.requests) == 3
    assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_a_port_where_nobody_listens_is_tried_again(client: GuardedClient) -> None:
    """A refused connection is a result."""
    async with answering(b"") as server:
        pass
    result = await attempt(client, server)
    assert (result.outcome, result.status) == AGAIN
    assert result.error is not None
    assert result.error.startswith("ConnectError")


async def test_a_faulty_tls_is_tried_again() -> None:
    """An unknown authority, and a server that does not speak TLS."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with open_client(LOOPBACK) as client:
        for tls in (context, None):
            async with answering(head(204), tls=tls) as server:
                result = await attempt(client, server, scheme="https", timeout=1)
            assert (result.outcome, result.status, server.requests) == (*AGAIN, [])
            assert result.error


async def test_a_handshake_that_never_ends_leaves_nothing_open() -> None:
    """The connection is closed with the attempt, not when garbage is collected."""
    closed = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server, open_client(LOOPBACK) as client:
        place = RawServer(port=server.sockets[0].getsockname()[1])
        gc.disable()
        try:
            result = await attempt(client, place, scheme="https", timeout=SHORT)
            await asyncio.wait_for(closed.wait(), 5)
        finally:
            gc.enable()
    assert result == DeliveryResult(Outcome.RETRY, error="TimeoutError")


async def test_the_time_limit_is_one_for_all(client: GuardedClient) -> None:
    """Neither a byte now and then nor a new phase begins it anew."""
    waits = []
    for answer in (silent, drip_header, drip_body):
        async with answering(answer) as server:
            began = time.monotonic()
            await attempt(client, server, timeout=SHORT)
            waits.append(time.monotonic() - began)
    assert all(SHORT - 0.01 < wait < SHORT + 1 for wait in waits), waits


async def test_a_canceled_attempt_ends_at_once(client: GuardedClient) -> None:
    """A courier that is told to stop need not wait for its receivers."""
    async with answering(silent) as server:
        delivery = asyncio.create_task(attempt(client, server, timeout=60))
        await asyncio.wait_for(server.came.wait(), 5)
        delivery.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(delivery, 5)
        assert delivery.cancelled()


async def test_the_client_works_after_all_of_them(
    client: GuardedClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """No fault spoils the client for the receivers after it."""
    for answer, _ in FAULTS.values():
        async with answering(answer) as server:
            await attempt(client, server, timeout=SHORT / 4)
        async with answering(head(204)) as good:
            assert (await attempt(client, good, timeout=5)).outcome is Outcome.DELIVERED
    tell(capsys, f"deliveries spoilt by a fault before them: 0 of n={len(FAULTS)}")
