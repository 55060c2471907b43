"""Making deliveries due again, whatever became of them: the same record, the same id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import itemgetter

from thirdring.store import endpoints
from thirdring.store.delivery import DeliveryState, Endpoint
from thirdring.store.history import Selection
from thirdring.store.store import Connection, Row, Store, to_text

__all__ = ["AT_ONCE", "Plan", "Planned", "Wanted", "plan", "replay"]

AT_ONCE = 1000
"""How many deliveries an operator changes in one transaction; that takes a fraction of a second."""

_UNDELIVERED = frozenset({DeliveryState.DEAD, DeliveryState.PARKED})


@dataclass(frozen=True)
class Wanted:
    """Which deliveries are to be due again.

    Attributes:
        configured: The endpoints that there are: nothing is sent to others, and a record that was
            only kept goes to all those of its business.
        call_id: Of one call only.
        sink: To one kind of sink only.
        undelivered: Only dead letters and what is parked.
    """

    selection: Selection
    configured: AbstractSet[Endpoint]
    call_id: str | None = None
    sink: str | None = None
    undelivered: bool = False


@dataclass(frozen=True)
class Planned:
    """One delivery; `state` is None when the record was never to go there."""

    call_id: str
    endpoint: Endpoint
    state: DeliveryState | None


@dataclass(frozen=True)
class Plan:
    """What a replay does.

    Attributes:
        deliveries: In the order of their calls.
        under_way: How many are left alone because they are just being tried.
        unconfigured: Where records would have to go, did the configuration still name it.
        unparked: Endpoints that answered 410 and are tried again.
    """

    deliveries: tuple[Planned, ...]
    under_way: int
    unconfigured: tuple[Endpoint, ...]
    unparked: tuple[Endpoint, ...]


async def plan(store: Store, wanted: Wanted, now: datetime) -> Plan:
    """Return what `replay` would do now."""
    return await store.read(lambda connection: _plan(connection, wanted, to_text(now)))


async def replay(store: Store, wanted: Wanted, now: datetime) -> Plan:
    """Make deliveries due at once, with a schedule of their own, the oldest call first.

    In parts, for calls and couriers need the store meanwhile. Who breaks off may ask again, which
    changes nothing else but the time.
    """
    found = await plan(store, wanted, now)
    # The courier takes what is due longest.
    due = [
        (item, to_text(now + timedelta(microseconds=place)))
        for place, item in enumerate(found.deliveries)
    ]
    for start in range(0, len(due), AT_ONCE):
        part = due[start : start + AT_ONCE]
        # With the last part: before it another 410 would park what is made due after that.
        unparked = found.unparked if start + AT_ONCE >= len(due) else ()
        await store.write(partial(_make_due, part=part, unparked=unparked, now=to_text(now)))
    return found


def _make_due(
    connection: Connection,
    part: Sequence[tuple[Planned, str]],
    unparked: Sequence[Endpoint],
    now: str,
) -> None:
    endpoints.known(connection, {item.endpoint for item, _ in part})
    connection.executemany(
        "INSERT INTO deliveries (call_id, sink, business, state, due_at)"
        " VALUES (?, ?, ?, 'pending', ?) ON CONFLICT (call_id, sink) DO UPDATE SET"
        " state = 'pending', attempts = 0, due_at = excluded.due_at, settled_at = NULL,"
        " leased_by = NULL, leased_until = NULL"
        # Not what a courier has taken meanwhile.
        " WHERE deliveries.leased_until IS NULL OR deliveries.leased_until <= ?",
        [
            (item.call_id, item.endpoint.sink, item.endpoint.business, due_at, now)
            for item, due_at in part
        ],
    )
    connection.executemany(
        "UPDATE endpoints SET parked_at = NULL WHERE business = ? AND sink = ?", unparked
    )


def _plan(connection: Connection, wanted: Wanted, now: str) -> Plan:
    deliveries: list[Planned] = []
    unconfigured: set[Endpoint] = set()
    under_way = 0
    for row in _rows(connection, wanted):
        endpoint = Endpoint(row["business"], row["sink"])
        if endpoint not in wanted.configured:
            unconfigured.add(endpoint)
        elif row["leased_until"] is not None and row["leased_until"] > now:
            under_way += 1
        else:
            state = None if row["state"] is None else DeliveryState(row["state"])
            deliveries.append(Planned(row["call_id"], endpoint, state))
    unparked = endpoints.parked(connection) & {item.endpoint for item in deliveries}
    return Plan(tuple(deliveries), under_way, tuple(sorted(unconfigured)), tuple(sorted(unparked)))


def _rows(connection: Connection, wanted: Wanted) -> Iterator[Row]:
    """Yield one row per delivery that is meant, also of those that there are not yet."""
    where, parameters = wanted.selection.condition()
    if wanted.call_id is not None:
        where, parameters = f"{where} AND records.call_id = ?", [*parameters, wanted.call_id]
    rows = connection.execute(
        "SELECT records.call_id, records.business, sink, state, leased_until"  # noqa: S608
        " FROM records LEFT JOIN deliveries ON deliveries.call_id = records.call_id"
        f" WHERE records.business IS NOT NULL AND {where}"
        " ORDER BY records.opened_at, records.call_id, sink",
        parameters,
    )
    for _, group in groupby(rows, key=itemgetter("call_id")):
        found = list(group)
        there = {row["sink"]: row for row in found if row["sink"] is not None}
        business = found[0]["business"]
        sinks = set(there)
        if not wanted.undelivered:
            sinks |= {sink for owner, sink in wanted.configured if owner == business}
        for sink in sorted(sinks if wanted.sink is None else sinks & {wanted.sink}):
            row = there.get(sink) or {**found[0], "sink": sink, "state": None, "leased_until": None}
            if not wanted.undelivered or row["state"] in _UNDELIVERED:
                yield row
