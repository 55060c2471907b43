"""Couriers as tests run them, in this process or in one of their own, and calls for them."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from standardwebhooks import Webhook

from tests.peers.endpoint import Arrival
from tests.samples import SECRET, business, opened, settings, spoken
from thirdring.courier import run
from thirdring.home import Home
from thirdring.journal import Entry, Journal
from thirdring.record import Record
from thirdring.settings import Settings
from thirdring.store import open_store
from thirdring.store.outbox import DeliveryState, Outbox

__all__ = [
    "COURIER",
    "TALK",
    "at_url",
    "busy_store",
    "child",
    "record_in",
    "running",
    "state",
    "until",
    "write",
]

ROOT = Path(__file__).parents[2]

TALK: tuple[Entry, ...] = tuple(spoken(number) for number in range(3))

COURIER = """
import asyncio, logging, sys
from datetime import timedelta
from pathlib import Path
from tests.samples import business, settings
from thirdring.courier import delivering, run
from thirdring.home import Home

logging.basicConfig(level="INFO")
delivering.LEASE = timedelta(seconds=float(sys.argv[3]))
delivering._START_WITHIN = float(sys.argv[3]) / 2
asyncio.run(run(Home(Path(sys.argv[1])), settings(business(url=sys.argv[2]))))
"""
"""Arguments: the home, the URL of the webhook, the seconds of a lease."""


def at_url(url: str | None) -> Settings:
    """Return the settings of a clinic with this webhook."""
    return settings(business(url=url))


async def write(
    home: Home, *entries: Entry, call_id: str = "call-1", slug: str = "riverside_clinic"
) -> None:
    """Write the journal of a call and close it."""
    async with Journal.create(home.journals, opened(call_id, business=slug)) as journal:
        for entry in entries:
            journal.append(entry)


async def state(
    home: Home, call_id: str = "call-1", *, environ: Mapping[str, str] | None = None
) -> DeliveryState | None:
    """Return how far the record of a call has come; None when it goes nowhere."""
    async with open_store(home, environ or {}) as store:
        states = await Outbox(store).states(call_id)
    assert states is not None
    return states.get("webhook")


@asynccontextmanager
async def running(home: Home, settings: Settings) -> AsyncIterator[None]:
    """Run a courier in this process."""
    courier = asyncio.create_task(run(home, settings))
    try:
        yield
    finally:
        courier.cancel()
        await asyncio.wait([courier])
    assert courier.cancelled()


@asynccontextmanager
async def child(
    program: str, *arguments: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program in a process of its own, and kill it with SIGKILL in the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env=env,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def record_in(arrival: Arrival) -> Record:
    """Return the record that has come, once its signature is known to be right."""
    Webhook(SECRET.get_secret_value()).verify(arrival.body, arrival.headers)
    return Record.model_validate_json(arrival.body)


@contextmanager
def busy_store(home: Home) -> Iterator[None]:
    """Keep others from writing to the store."""
    with closing(sqlite3.connect(home.store, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


async def until(true: Callable[[], bool]) -> None:
    """Wait for what another task or process brings about; no event tells it."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
