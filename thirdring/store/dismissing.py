"""Dismissing deliveries, so that nobody need look at them any more; their records stay."""

from __future__ import annotations

from datetime import datetime

from thirdring.store.delivery import DeliveryState, Endpoint
from thirdring.store.replaying import Planned, Wanted
from thirdring.store.store import Connection, Store, to_text

__all__ = ["dismiss", "dismissible"]


async def dismissible(store: Store, wanted: Wanted, now: datetime) -> list[Planned]:
    """Return what `dismiss` would change now."""
    return await store.read(lambda connection: _found(connection, wanted, to_text(now)))


async def dismiss(store: Store, wanted: Wanted, now: datetime) -> list[Planned]:
    """Dismiss dead letters, what is parked, and what waits for an endpoint that is not configured.

    In one transaction. What may still be tried is left alone; a replay makes due again what was
    dismissed.
    """

    def work(connection: Connection) -> list[Planned]:
        found = _found(connection, wanted, to_text(now))
        connection.executemany(
            # Not what somebody has made due meanwhile.
            "UPDATE deliveries SET state = 'dismissed', due_at = NULL, settled_at = ?,"
            " leased_by = NULL, leased_until = NULL WHERE call_id = ? AND sink = ? AND state = ?",
            [(to_text(now), item.call_id, item.endpoint.sink, item.state) for item in found],
        )
        return found

    return await store.write(work)


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
