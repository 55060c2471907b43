"""A real livekit-server, and what it takes to answer calls in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from local.parts.ports import free_port
from sip.answering import Switchboard
from tests.peers.scripted_model import ScriptedModel, scripted_model
from tests.peers.whole_call import Calls
from tests.samples import business
from thirdring import workflow
from thirdring.access import LiveKitAccess
from thirdring.clock import SystemClock
from thirdring.home import Home
from thirdring.settings import Settings

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def access(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitAccess]:
    """Start livekit-server on free ports of 127.0.0.1."""
    program = shutil.which("livekit-server") or str(_ROOT / ".cache/bin/livekit-server")
    http, udp = free_port(), free_port()
    config = {
        "port": http,
        "bind_addresses": ["127.0.0.1"],
        "rtc": {
            "tcp_port": 0,
            "udp_port": udp,
            # As in local.parts.livekit_server.
            "stun_servers": ["127.0.0.1:9"],
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
def livekit(access: LiveKitAccess, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return livekit-server's address and keys, in the environment too."""
    environ = {
        "LIVEKIT_URL": access.url,
        "LIVEKIT_API_KEY": access.api_key,
        "LIVEKIT_API_SECRET": access.api_secret.get_secret_value(),
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ


@pytest.fixture
async def model(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ScriptedModel]:
    """Start the model that sessions of this test talk to; a parameter is how slowly it speaks."""
    seconds = getattr(request, "param", 0.02)
    async with scripted_model(seconds_per_character=seconds) as running:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", running.server.url)
        yield running


@pytest.fixture
def board(tmp_path: Path) -> Switchboard:
    """Return a clinic with one line."""
    settings = Settings(businesses=(business(),), default_line="+12025550142")
    return Switchboard(settings, workflow.discover(), Home(tmp_path), SystemClock())


@pytest.fixture
def calling(livekit: dict[str, str], board: Switchboard, request: pytest.FixtureRequest) -> Calls:
    """Return what calls the clinic in a room of its own."""
    return Calls(livekit, board, request.node.name)
