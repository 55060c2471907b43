"""A home as a courier leaves it: archived journals, their records, their deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from typer.testing import CliRunner, Result

from tests.samples import SECRET, at, business, ended, opened, settings, spoken
from thirdring.courier import run
from thirdring.home import Home
from thirdring.journal import Entry, Journal
from thirdring.records.commands import app
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store import open_store
from thirdring.store.outbox import DeliveryState, Endpoint, Outbox, Settlement

T = TypeVar("T")

__all__ = ["CONTROL", "at_once", "configuration", "keep", "records", "settle", "talk", "write"]

CONTROL = "\x1b[31mred\x1b[0m \x07\x08\x7f \x9b2J \u202eevil\u202c\u2066x\u2069\u200f \r\n\x00"
"""What a terminal, or the order in which text is shown, would obey."""

_CONFIGURATION = """\
version: 1
businesses:
  riverside_clinic:
    name: Riverside Clinic
    time_zone: America/New_York
    webhook: {{url: "{url}", secret: "${{HOOK_SECRET}}"}}
    lines: [{{number: "+12025550142", workflow: patient_questions}}]
allowed_receivers: [127.0.0.0/8]
"""


def talk(*texts: str) -> list[Entry]:
    """Return the turns of a call and its ending."""
    turns: list[Entry] = [spoken(number, text=text) for number, text in enumerate(texts or ("a",))]
    return [*turns, ended(len(turns) + 1)]


async def write(home: Home, call_id: str, entries: Sequence[Entry]) -> None:
    """Write the journal of a call, as a job does."""
    async with Journal.create(home.journals, opened(call_id)) as journal:
        for entry in entries:
            journal.append(entry)


def configuration(folder: Path, url: str = "http://127.0.0.1:9/") -> Path:
    """Write a configuration whose only business has a webhook."""
    path = folder / "thirdring.yaml"
    path.write_text(_CONFIGURATION.format(url=url), encoding="utf-8")
    return path


async def keep(home: Home, calls: Mapping[str, Sequence[Entry]], *, url: str | None = None) -> None:
    """Let calls happen, and a courier make their records and try to deliver them once."""
    for call_id, entries in calls.items():
        await write(home, call_id, entries)
    await run(home, settings(business(url=url)), once=True)


async def settle(home: Home, state: DeliveryState, *call_ids: str) -> None:
    """Let deliveries to the webhook come to a state."""
    endpoint, now = Endpoint("riverside_clinic", "webhook"), at(9_000_000)
    async with open_store(home, {}) as store:
        box = Outbox(store)
        await box.claim("test", now, lease=timedelta(hours=1), limit=100, free={endpoint: 100})
        result = DeliveryResult(Outcome.RETRY, 500, error=f"HTTP 500 {CONTROL}")
        settlements = [Settlement(call_id, "webhook", state, result) for call_id in call_ids]
        await box.settle(settlements, owner="test", now=datetime.now(UTC))
        await box.release("test")


def at_once(work: Coroutine[None, None, T]) -> T:
    """Run `work` in an event loop of its own, for what may be needed inside another one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def records(
    home: Home,
    *arguments: str,
    columns: int | None = None,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Result:
    """Run a command as `python ring.py records` does; a PhoneError is its `exception`."""
    # Whoever runs these tests may have set it.
    width = {"COLUMNS": None if columns is None else str(columns)}
    secret = SECRET.get_secret_value()
    ours = {"THIRDRING_HOME": str(home.root), "THIRDRING_STORE": None, "HOOK_SECRET": secret}
    env = {**ours, **width, **environ}
    with ThreadPoolExecutor(1) as thread:  # the command has an event loop of its own
        return thread.submit(CliRunner().invoke, app, arguments, env=env).result()
