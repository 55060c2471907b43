"""Dismissing deliveries, so that nobody need look at them any more; their records stay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from thirdring.store.delivery import DeliveryState, Endpoint
from thirdring.store.replaying import AT_ONCE, Planned, Wanted
from thirdring.store.store import Connection, Store, to_text

__all__ = ["dismiss", "dismissible"]


async def dismissible(store: Store, wanted: Wanted, now: datetime) -> list[Planned]:
    """Return what `dismiss` would change now."""
    return await store.read(lambda connection: _found(connection, wanted, to_text(now)))


async def dismiss(store: Store, wanted: Wanted, now: datetime) -> list[Planned]:
    """Dismiss dead letters, what is parked, and what waits for an endpoint that is not configured.

    In parts, for calls and couriers need the store meanwhile. What may still be tried is left
    alone; a replay makes due again what was dismissed.
    """
    found = await dismissible(store, wanted, now)
    for start in range(0, len(found), AT_ONCE):
        part = found[start : start + AT_ONCE]
        await store.write(partial(_dismiss, part=part, now=to_text(now)))
    return found


def _dismiss(connection: Connection, part: Sequence[Planned], now: str) -> None:
    connection.executemany(
        # Not what somebody has made due or taken meanwhile.
        "UPDATE deliveries SET state = 'dismissed', due_at = NULL, settled_at = ?,"
        " leased_by = NULL, leased_until = NULL WHERE call_id = ? AND sink = ? AND state = ?"
        " AND (leased_until IS NULL OR leased_until <= ?)",
        [(now, item.call_id, item.endpoint.sink, item.state, now) for item in part],
    )


def _found(connection: Connection, wanted: Wanted, now: str) -> list[Planned]:
    where, parameters = wanted.selection.condition()
    if wanted.call_id is not None:
        where, parameters = f"{where} AND records.call_id = ?", [*parameters, wanted.call_id]
    if wanted.sink is not None:
        where, parameters = f"{where} AND sink = ?", [*parameters, wanted.sink]
    rows = connection.execute(
        "SELECT deliveries.call_id, deliveries.business, sink, state FROM deliveries"  # noqa: S608
        " JOIN records ON records.call_id = deliveries.call_id"
        " WHERE state IN ('dead', 'parked', 'pending')"
        f" AND (leased_until IS NULL OR leased_until <= ?) AND {where}"
        " ORDER BY records.opened_at, records.call_id, sink",
        [now, *parameters],
    )
    planned = [
        Planned(row["call_id"], Endpoint(row["business"], row["sink"]), DeliveryState(row["state"]))
        for row in rows
    ]
    return [
        item
        for item in planned
        if item.state is not DeliveryState.PENDING or item.endpoint not in wanted.configured
    ]
