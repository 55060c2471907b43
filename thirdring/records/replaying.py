"""Sending records again: what that would do, and doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue
from rich.console import Console

from thirdring.home import Home
from thirdring.records.screen import json_text
from thirdring.records.selecting import the_call
from thirdring.settings import Settings
from thirdring.store import Store
from thirdring.store.delivery import Endpoint
from thirdring.store.history import Selection
from thirdring.store.replaying import Plan, Planned, Wanted, plan, replay

__all__ = [
    "Done",
    "before",
    "counted",
    "documents",
    "endpoints_of",
    "run_replay",
    "show_replay",
    "wanted",
]


@dataclass(frozen=True)
class Done:
    """What a replay did, or, unless `done`, what it would do to how many records."""

    plan: Plan
    records: int
    done: bool


def endpoints_of(settings: Settings) -> frozenset[Endpoint]:
    """Return where records can go."""
    return frozenset(
        Endpoint(business.slug, sink)
        for business in settings.businesses
        for sink in business.sink_names
    )


async def wanted(
    store: Store,
    home: Home,
    chosen: Selection,
    configured: AbstractSet[Endpoint],
    *,
    call: str | None,
    sink: str | None,
    undelivered: bool,
) -> Wanted:
    """Return which deliveries are meant.

    Raises:
        PhoneError: There is no such call.
    """
    call_id = None if call is None else (await the_call(store, home, call)).call_id
    return Wanted(chosen, configured, call_id=call_id, sink=sink, undelivered=undelivered)


async def run_replay(store: Store, wanted: Wanted, now: datetime, *, yes: bool) -> Done:
    """Make deliveries due, which the courier sees; for more than one record only with `yes`."""
    found = await plan(store, wanted, now)
    records = len({item.call_id for item in found.deliveries})
    if not records or (records > 1 and not yes):
        return Done(found, records, done=not records)
    found = await replay(store, wanted, now)
    return Done(found, len({item.call_id for item in found.deliveries}), done=True)


def show_replay(out: Console, done: Done, *, as_json: bool) -> None:
    """Print what was done, or what would be."""
    if as_json:
        out.file.write(f"{json_text(_document(done), indent=2)}\n")
        return
    for line in _lines(done):
        out.print(line, soft_wrap=True)


def _lines(done: Done) -> Iterator[str]:
    found = done.plan
    if not found.deliveries:
        yield "nothing to send again"
    yield from before(found.deliveries, "due now" if done.done else "would be due")
    for endpoint in found.unparked:
        verb = "is tried again" if done.done else "would be tried again"
        yield f"{_named(endpoint)} {verb}, although it answered 410"
    for endpoint in found.unconfigured:
        yield f"{_named(endpoint)} is left alone: the configuration does not name it any more"
    if found.under_way:
        yield f"{counted(found.under_way)} left alone: just being sent"
    if not done.done:
        yield f"Nothing has been done: say --yes to send {counted(done.records)}."


def before(deliveries: Sequence[Planned], verb: str) -> Iterator[str]:
    """Yield a line for each endpoint and state that deliveries had so far."""
    found = Counter((item.endpoint, item.state) for item in deliveries)
    for (endpoint, state), count in sorted(found.items(), key=str):
        so_far = "never sent there" if state is None else f"so far {state}"
        yield f"{_named(endpoint)}: {counted(count)} {verb}, {so_far}"


def _named(endpoint: Endpoint) -> str:
    return f"{endpoint.business}/{endpoint.sink}"


def counted(count: int) -> str:
    """Return a number of records as people say it."""
    return "1 record" if count == 1 else f"{count:,} records"


def _document(done: Done) -> JsonValue:
    return {
        "done": done.done,
        "records": done.records,
        "deliveries": documents(done.plan.deliveries),
        "under_way": done.plan.under_way,
        "unconfigured": [[*endpoint] for endpoint in done.plan.unconfigured],
        "unparked": [[*endpoint] for endpoint in done.plan.unparked],
    }


def documents(deliveries: Sequence[Planned]) -> list[JsonValue]:
    """Return deliveries as programs read them, each with its state so far."""
    return [
        {
            "call_id": item.call_id,
            "business": item.endpoint.business,
            "sink": item.endpoint.sink,
            "state": item.state,
        }
        for item in deliveries
    ]
