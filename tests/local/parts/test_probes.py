"""A probe says yes when its part answers, and no, never an error, when it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web

from local.parts.ports import LOOPBACK, free_port
from local.parts.probes import all_of, answers_http, answers_sip, says


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


class Answering(asyncio.DatagramProtocol):
    """Answers every SIP request with the given status lines."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = statuses
        self.requests: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Until Python 3.12 the real one is no subclass of it.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.requests.append(data.decode())
        for status in self.statuses:
            self.transport.sendto(f"SIP/2.0 {status}\r\n\r\n".encode(), addr)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(("200 OK",), True), (("100 Trying", "404 Not Found"), True), (("100 Trying",), False)],
)
async def test_any_final_response_is_a_sign_of_life(
    statuses: tuple[str, ...], expected: bool
) -> None:
    """A SIP side that refuses OPTIONS is alive; one that only tries is not ready."""
    server = Answering(*statuses)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=(LOOPBACK, 0)
    )
    port = transport.get_extra_info("sockname")[1]
    assert await answers_sip(LOOPBACK, port, "+12025550142")() is expected
    transport.close()
    await asyncio.sleep(0)
    assert server.requests[0].startswith(f"OPTIONS sip:+12025550142@{LOOPBACK}:{port} SIP/2.0\r\n")


async def test_where_nobody_listens_the_answer_is_no() -> None:
    """A closed port is a no by SIP and by HTTP."""
    port = free_port()
    assert not await answers_sip(LOOPBACK, port, "1")()
    assert not await answers_http(f"http://{LOOPBACK}:{port}/")()


@pytest.mark.parametrize(("status", "expected"), [(200, True), (503, False)])
async def test_http_is_ready_at_200(status: int, expected: bool) -> None:
    """A server that is up but says 503 is not ready."""

    async def respond(_: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    assert await answers_http(f"http://{host}:{port}/")() is expected
    await runner.cleanup()


async def test_words_in_a_log_are_counted(tmp_path: Path) -> None:
    """A log that does not exist yet says nothing; words must stand there often enough."""
    log = tmp_path / "log"
    assert not await says(log, "warm")()
    log.write_text("warm\nwarm\n")
    assert await says(log, "warm", times=2)()
    assert not await says(log, "warm", times=3)()


async def test_all_of_needs_every_yes() -> None:
    """One no is a no."""
    assert await all_of(yes, yes)()
    assert not await all_of(yes, no)()
