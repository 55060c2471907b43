"""A courier as the benchmarks run it: `python -m bench.courier_process <home> <core> <urls>`.

`<urls>` is a JSON object of webhook URLs by slug; `<core>` is the only core that it may use, or -1.
When it has been stopped it prints the seconds of a core that it took.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from thirdring.courier import run
from thirdring.home import Home
from thirdring.settings import Business, Line, Settings, WebhookEndpoint

_SECRET = SecretStr(f"whsec_{base64.b64encode(bytes(32)).decode()}")


def _settings(urls: dict[str, str]) -> Settings:
    businesses = tuple(
        Business(
            slug=slug,
            name=slug,
            time_zone=ZoneInfo("UTC"),
            webhook=WebhookEndpoint(url=url, secret=_SECRET),
            lines=(Line(number=f"+120255501{number:02}", workflow="patient_questions"),),
        )
        for number, (slug, url) in enumerate(urls.items())
    )
    return Settings(businesses=businesses, allowed_receivers=(ip_network("127.0.0.0/8"),))


async def _run(home: Home, settings: Settings) -> None:
    courier = asyncio.ensure_future(run(home, settings))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, courier.cancel)
    with suppress(asyncio.CancelledError):
        await courier


def main() -> None:
    """Run it until SIGTERM."""
    home, core, urls = Home(Path(sys.argv[1])), int(sys.argv[2]), json.loads(sys.argv[3])
    if core >= 0 and sys.platform == "linux":
        os.sched_setaffinity(0, {core})
    # As ring.py does it.
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(_run(home, _settings(urls)))
    sys.stdout.write(f"{time.process_time()}\n")


if __name__ == "__main__":
    main()
