"""The gateway in front of a real livekit-server, and somebody in the room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

import pytest
from livekit import api

from sip.gateway import GatewayAddress, Patience, serve
from thirdring.access import LiveKitAccess
from thirdring.home import Home
from thirdring.settings import Business, GatewaySettings, Line, Settings

if TYPE_CHECKING:
    from tests.sip.gateway.raw_line import RawLine

LINE = "+12025550142"


class RunGateway(Protocol):
    def __call__(
        self,
        *,
        access: LiveKitAccess | None = None,
        host: str = "127.0.0.1",
        allowed: tuple[str, ...] = (),
        max_calls: int = 20,
        patience: Patience = ...,
        home: Home | None = None,
        changes: AsyncIterable[Settings] | None = None,
    ) -> AbstractAsyncContextManager[GatewayAddress]: ...


@pytest.fixture
async def server(access: LiveKitAccess) -> AsyncIterator[api.LiveKitAPI]:
    """Open livekit-server's API."""
    async with api.LiveKitAPI(
        access.url, access.api_key, access.api_secret.get_secret_value()
    ) as opened:
        yield opened


@pytest.fixture
def run_gateway(request: pytest.FixtureRequest) -> RunGateway:
    """Return what starts a gateway with one line on a free port."""

    @asynccontextmanager
    async def run(
        *,
        access: LiveKitAccess | None = None,
        host: str = "127.0.0.1",
        allowed: tuple[str, ...] = (),
        max_calls: int = 20,
        patience: Patience = Patience(),  # noqa: B008  (frozen)
        home: Home | None = None,
        changes: AsyncIterable[Settings] | None = None,
    ) -> AsyncIterator[GatewayAddress]:
        settings = Settings(
            businesses=(
                Business(
                    slug="clinic",
                    name="Clinic",
                    time_zone=ZoneInfo("UTC"),
                    lines=(Line(number=LINE, workflow="patient_questions"),),
                ),
            ),
            gateway=GatewaySettings(
                host=host,
                port=0,
                rtp_ports=(24000, 24400),
                allowed_addresses=tuple(ip_network(one) for one in allowed),
                max_calls=max_calls,
            ),
        )
        at = access or request.getfixturevalue("access")
        ready: asyncio.Future[GatewayAddress] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve(
                settings,
                at,
                home or Home(request.getfixturevalue("tmp_path")),
                changes=changes,
                on_ready=ready.set_result,
                patience=patience,
            )
        )
        first: set[asyncio.Future[Any]] = {serving, ready}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        try:
            if serving.done():
                serving.result()
            yield ready.result()
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    return run


@pytest.fixture
async def raw_line(
    request: pytest.FixtureRequest,
    run_gateway: RunGateway,
    server: api.LiveKitAPI,
    access: LiveKitAccess,
) -> AsyncIterator[RawLine]:
    """Start a gateway for phones on raw SIP; a parameter is its patience."""
    from tests.sip.gateway.raw_line import RawLine  # noqa: PLC0415 - it needs `LINE` of this module

    patience: Patience = getattr(request, "param", Patience())
    async with run_gateway(patience=patience) as address:
        yield RawLine((address.host, address.port), server, access)
