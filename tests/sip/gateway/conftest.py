"""A real livekit-server, the gateway in front of it, and somebody in the room."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest
import yaml
from livekit import api
from pydantic import SecretStr

from sip.gateway import GatewayAddress, Patience, serve
from thirdring.access import LiveKitAccess
from thirdring.settings import Business, GatewaySettings, Line, Settings

LINE = "+12025550142"
_ROOT = Path(__file__).parents[3]


class RunGateway(Protocol):
    def __call__(
        self,
        *,
        access: LiveKitAccess | None = None,
        allowed: tuple[str, ...] = (),
        max_calls: int = 20,
        patience: Patience = ...,
    ) -> AbstractAsyncContextManager[GatewayAddress]: ...


@pytest.fixture(scope="session")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitAccess]:
    """Start livekit-server on free ports of 127.0.0.1."""
    program = shutil.which("livekit-server") or str(_ROOT / ".cache/bin/livekit-server")
    http, tcp, udp = _free_ports()
    config = {
        "port": http,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": tcp,
            "udp_port": udp,
            "use_external_ip": False,
            "node_ip": "127.0.0.1",
            "interfaces": {"includes": ["lo"]},
            "enable_loopback_candidate": True,
        },
    }
    folder = tmp_path_factory.mktemp("livekit")
    (folder / "livekit.yaml").write_text(yaml.safe_dump(config))
    secret = "gateway-tests-" + "0123456789" * 3
    with (folder / "livekit.log").open("wb") as log:
        server = subprocess.Popen(
            [program, "--config", str(folder / "livekit.yaml")],
            stdout=log,
            stderr=log,
            env={**os.environ, "LIVEKIT_KEYS": f"tests: {secret}"},
        )
        try:
            _await_ready(f"http://127.0.0.1:{http}")
            yield LiveKitAccess(
                url=f"ws://127.0.0.1:{http}", api_key="tests", api_secret=SecretStr(secret)
            )
        finally:
            # It has nothing to save, and on SIGTERM it would wait for rooms to empty.
            server.kill()
            server.wait(20)


def _free_ports() -> tuple[int, int, int]:
    with (
        socket.socket() as http,
        socket.socket() as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        for each in (http, tcp, udp):
            each.bind(("127.0.0.1", 0))
        return http.getsockname()[1], tcp.getsockname()[1], udp.getsockname()[1]


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with (
            suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(url, timeout=1),  # noqa: S310  (our own server)
        ):
            return
        time.sleep(0.05)
    raise TimeoutError(f"livekit-server does not answer at {url}")


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
        allowed: tuple[str, ...] = (),
        max_calls: int = 20,
        patience: Patience = Patience(),  # noqa: B008  (frozen)
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
                port=0,
                rtp_ports=(24000, 24400),
                allowed_addresses=tuple(ip_network(one) for one in allowed),
                max_calls=max_calls,
            ),
        )
        at = access or request.getfixturevalue("access")
        ready: asyncio.Future[GatewayAddress] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve(settings, at, on_ready=ready.set_result, patience=patience)
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
