"""A gateway in a process of its own, as `ring.py gateway` runs it: what it does takes no time here.

Alone it reads its settings as JSON from its input, and tells where it listens in one line.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from sip.gateway import GatewayAddress, Patience, serve
from tests.sip.gateway.conftest import LINE
from thirdring.access import LiveKitAccess
from thirdring.home import Home
from thirdring.settings import Business, GatewaySettings, Line, Settings

__all__ = ["gateway_process", "spawned_gateway"]


@contextmanager
def gateway_process(access: LiveKitAccess, *, media: int = 15) -> Iterator[GatewayAddress]:
    """Run a gateway with one line; without RTP it ends a call after `media` seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="thirdring-gateway-") as home,
        spawned_gateway(access, Home(Path(home)), media=media) as (address, _),
    ):
        yield address


@contextmanager
def spawned_gateway(
    access: LiveKitAccess, home: Home, *, media: int = 15
) -> Iterator[tuple[GatewayAddress, subprocess.Popen[str]]]:
    """Run a gateway that keeps its journals in `home`, for whoever may want to kill it."""
    told = {
        "url": access.url,
        "key": access.api_key,
        "secret": access.api_secret.get_secret_value(),
        "media": media,
        "home": str(home.root),
    }
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        yield GatewayAddress(*json.loads(process.stdout.readline())), process
        # Leaving the block closes its input, and that ends it.


async def _serve() -> None:
    told = json.loads(sys.stdin.readline())
    access = LiveKitAccess(
        url=told["url"], api_key=told["key"], api_secret=SecretStr(told["secret"])
    )
    line = Line(number=LINE, workflow="patient_questions")
    business = Business(slug="clinic", name="Clinic", time_zone=ZoneInfo("UTC"), lines=(line,))
    settings = Settings(
        businesses=(business,),
        gateway=GatewaySettings(host="127.0.0.1", port=0, rtp_ports=(25000, 25900), max_calls=100),
    )

    def tell(address: GatewayAddress) -> None:
        sys.stdout.write(json.dumps([address.host, address.port]) + "\n")
        sys.stdout.flush()

    serving = asyncio.create_task(
        serve(
            settings,
            access,
            Home(Path(told["home"])),
            on_ready=tell,
            patience=Patience(media=told["media"]),
        )
    )
    await asyncio.to_thread(sys.stdin.read)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_serve())
