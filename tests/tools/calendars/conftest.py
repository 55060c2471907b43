"""What reaches calendars on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest

from tests.peers.caldav_server import CalDavServer, caldav_server
from tests.samples import LOOPBACK
from thirdring.guarded_http import GuardedClient


@pytest.fixture(scope="session")
def new_calendar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], CalDavServer]]:
    """Return what makes an empty calendar on a CalDAV server."""
    with caldav_server(tmp_path_factory.mktemp("caldav")) as make:
        yield make


@pytest.fixture
def server(new_calendar: Callable[[], CalDavServer]) -> CalDavServer:
    """Return an empty calendar on a CalDAV server."""
    return new_calendar()


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    """Return a client that may reach this machine."""
    limits = httpx.Limits(max_connections=4)
    tls = httpx.create_ssl_context()
    async with GuardedClient(LOOPBACK, limits=limits, timeout=5, tls=tls) as opened:
        yield opened
