"""Who delivers what: leases on the rows of pending deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from thirdring.store import endpoints
from thirdring.store.delivery import DeliveryState, Due, Endpoint, Settlement
from thirdring.store.store import Connection, Row, to_text

__all__ = ["Claim", "claim", "hasten", "release", "settle"]

# Each has an index of its own, in the order of `due_at` within an endpoint: what waits for its time
# is never looked at, however much it is.
_NEW = "state = 'pending' AND attempts = 0"
_AGAIN = "state = 'pending' AND attempts > 0 AND due_at <= ?"
_NOT_LEASED = "(leased_until IS NULL OR leased_until <= ?)"
_SETTLE = (
    "UPDATE deliveries SET state = ?, attempts = attempts + ?, due_at = ?, settled_at = ?,"
    " last_status = ?, last_error = ?, leased_by = NULL, leased_until = NULL"
    " WHERE call_id = ? AND sink = ?"
)


@dataclass(frozen=True)
class Claim:
    """Who wants how much; see `Outbox.claim`."""

    owner: str
    now: datetime
    until: datetime
    limit: int
    free: Mapping[Endpoint, int]


def claim(connection: Connection, request: Claim) -> list[Due]:
    """Lease deliveries that are due, the longest due first."""
    found = [
        row
        for endpoint in _with_work(connection, to_text(request.now))
        if (room := min(request.free.get(endpoint, 0), request.limit)) > 0
        for row in _oldest(connection, endpoint, to_text(request.now), room)
    ]
    chosen = sorted(found, key=lambda row: str(row["due_at"]))[: request.limit]
    connection.executemany(
        "UPDATE deliveries SET leased_by = ?, leased_until = ? WHERE call_id = ? AND sink = ?",
        [(request.owner, to_text(request.until), row["call_id"], row["sink"]) for row in chosen],
    )
    return list(_with_bodies(connection, chosen))


def _with_work(connection: Connection, now: str) -> list[Endpoint]:
    # Not EXISTS: PostgreSQL would read all that is pending into a hash table.
    one = "(SELECT 1 FROM deliveries AS d WHERE d.business = e.business AND d.sink = e.sink"
    rows = connection.execute(
        "SELECT business, sink FROM endpoints AS e WHERE parked_at IS NULL"  # noqa: S608
        f" AND ({one} AND {_NEW} LIMIT 1) IS NOT NULL"
        f" OR {one} AND {_AGAIN} LIMIT 1) IS NOT NULL)"
        " ORDER BY business, sink",
        (now,),
    )
    return [Endpoint(row["business"], row["sink"]) for row in rows]


def _oldest(connection: Connection, endpoint: Endpoint, now: str, room: int) -> list[Row]:
    """Return up to `room` deliveries of an endpoint that are due and nobody's."""
    select = "SELECT call_id, sink, business, attempts, due_at FROM deliveries"
    end = f"ORDER BY due_at LIMIT ? {connection.skip_locked}"
    new = connection.execute(
        f"{select} WHERE business = ? AND sink = ? AND {_NEW} AND {_NOT_LEASED} {end}",
        (*endpoint, now, room),
    ).fetchall()
    again = connection.execute(
        f"{select} WHERE business = ? AND sink = ? AND {_AGAIN} AND {_NOT_LEASED} {end}",
        (*endpoint, now, now, room),
    ).fetchall()
    return sorted([*new, *again], key=lambda row: str(row["due_at"]))[:room]


def _with_bodies(connection: Connection, chosen: list[Row]) -> Iterator[Due]:
    calls = sorted({row["call_id"] for row in chosen})
    records = connection.execute(
        "SELECT call_id, record_id, body FROM records"  # noqa: S608 - as many `?` as values
        f" WHERE call_id IN ({', '.join('?' * len(calls)) or 'NULL'})",
        calls,
    )
    by_call = {record["call_id"]: record for record in records}
    for row in chosen:
        record = by_call[row["call_id"]]
        yield Due(
            call_id=row["call_id"],
            record_id=record["record_id"],
            business=row["business"],
            sink=row["sink"],
            body=bytes(record["body"]),
            attempts=row["attempts"],
        )


def settle(connection: Connection, settlements: Iterable[Settlement], owner: str, now: str) -> None:
    """Note attempts; see `Outbox.settle`."""
    # In one order: two couriers wait for each other in turn, not in a circle.
    batch = sorted(settlements, key=lambda each: (each.call_id, each.sink))
    delivered = [each for each in batch if each.state is DeliveryState.DELIVERED]
    parked = [each for each in batch if each.state is DeliveryState.PARKED]
    failed = [e for e in batch if e.state in (DeliveryState.PENDING, DeliveryState.DEAD)]
    connection.executemany(
        # What has arrived has arrived, even when its endpoint was parked meanwhile.
        f"{_SETTLE} AND state IN ('pending', 'parked')",
        [_settled(each, now) for each in delivered],
    )
    connection.executemany(
        f"{_SETTLE} AND state = 'pending' AND leased_by = ?",
        [(*_settled(each, now), owner) for each in failed],
    )
    for each in parked:
        row = connection.execute(
            f"{_SETTLE} AND state = 'pending' RETURNING business", _settled(each, now)
        ).fetchone()
        if row is not None:
            endpoints.park(connection, Endpoint(row["business"], each.sink), now)


def _settled(settlement: Settlement, now: str) -> tuple[object, ...]:
    """Return the parameters of `_SETTLE`."""
    result, state = settlement.result, settlement.state
    return (
        state,
        0 if result is None else 1,
        None if settlement.due_at is None else to_text(settlement.due_at),
        None if state is DeliveryState.PENDING else now,
        None if result is None else result.status,
        None if result is None else result.error,
        settlement.call_id,
        settlement.sink,
    )


def release(connection: Connection, owner: str) -> int:
    """Give up all leases of `owner`; return how many there were."""
    return connection.execute(
        "UPDATE deliveries SET leased_by = NULL, leased_until = NULL WHERE leased_by = ?", (owner,)
    ).rowcount


def hasten(connection: Connection, beyond: str, now: str, endpoint: Endpoint | None) -> int:
    """Make due what is due later than `beyond`; see `Outbox.hasten`."""
    # An endpoint that has answered others may still have asked to be sent less (429).
    condition = (
        ""
        if endpoint is None
        else " AND business = ? AND sink = ? AND (last_status IS NULL OR last_status <> 429)"
    )
    return connection.execute(
        "UPDATE deliveries SET attempts = attempts - 1, due_at = "  # noqa: S608
        "(SELECT CASE WHEN stored_at < ? THEN stored_at ELSE ? END"
        " FROM records WHERE records.call_id = deliveries.call_id)"
        f" WHERE state = 'pending' AND attempts > 0 AND due_at > ?{condition}",
        (now, now, beyond, *(endpoint or ())),
    ).rowcount
