"""What operators ask of the store: which calls there were, what became of their records.

Only reads; `thirdring.store.replaying` makes deliveries due again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from thirdring.store.delivery import DeliveryState, Endpoint
from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = [
    "Call",
    "Delivery",
    "ParkedEndpoint",
    "Queue",
    "Selection",
    "Undelivered",
    "bodies",
    "calls",
    "matches",
    "names",
    "outbox",
    "undelivered",
]

_COLUMNS = "call_id, record_id, business, caller, opened_at, ended_at, reason"
_LAST = "\U0010ffff"
_AT_ONCE = 500


@dataclass(frozen=True)
class Delivery:
    """How far a record has come on its way to one sink.

    Attributes:
        attempts: Since it was last made due.
        due_at: When it is tried next; with `pending` only.
        settled_at: When it came to its state; not with `pending`.
        status: HTTP's, of the last attempt.
        error: Why the last attempt failed.
    """

    sink: str
    state: DeliveryState
    attempts: int
    due_at: datetime | None
    settled_at: datetime | None
    status: int | None
    error: str | None


@dataclass(frozen=True)
class Call:
    """A call that has a record; without deliveries when its business had no sink."""

    call_id: str
    record_id: str
    business: str | None
    caller: str | None
    opened_at: datetime
    ended_at: datetime
    reason: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True)
class Undelivered:
    """A delivery that nobody tries any more."""

    call: Call
    delivery: Delivery


@dataclass(frozen=True)
class Selection:
    """Which calls are meant; what is None says nothing.

    Attributes:
        since: Opened then or later.
        until: Opened before.
        caller: The number, or its last digits.
        limit: At most so many, the newest.
    """

    business: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reason: str | None = None
    caller: str | None = None
    limit: int | None = None

    def condition(self) -> tuple[str, list[object]]:
        """Return what stands behind WHERE, and its parameters."""
        clauses: list[tuple[str, object]] = []
        if self.business is not None:
            clauses.append(("records.business = ?", self.business))
        if self.since is not None:
            clauses.append(("records.opened_at >= ?", to_text(self.since)))
        if self.until is not None:
            clauses.append(("records.opened_at < ?", to_text(self.until)))
        if self.reason is not None:
            clauses.append(("records.reason = ?", self.reason))
        if self.caller is not None:
            clauses.append(("records.caller LIKE ?", f"%{self.caller}"))
        where = " AND ".join(clause for clause, _ in clauses) or "1 = 1"
        return where, [value for _, value in clauses]


@dataclass(frozen=True)
class Queue:
    """The deliveries of one endpoint that are in one state.

    Attributes:
        oldest_at: When the first of these calls ended.
        next_at: When the next one is due; with `pending` only.
        failing: How many of those that are pending have been tried in vain.
    """

    endpoint: Endpoint
    state: DeliveryState
    count: int
    oldest_at: datetime
    next_at: datetime | None
    failing: int


@dataclass(frozen=True)
class ParkedEndpoint:
    """An endpoint that answered 410, and when."""

    endpoint: Endpoint
    since: datetime


async def calls(store: Store, selection: Selection) -> list[Call]:
    """Return the calls that are meant, the newest first."""
    where, parameters = selection.condition()
    limited = " LIMIT ?" if selection.limit is not None else ""
    if selection.limit is not None:
        parameters.append(selection.limit)

    def work(connection: Connection) -> list[Call]:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM records WHERE {where}"  # noqa: S608  # constants above
            f" ORDER BY opened_at DESC, call_id DESC{limited}",
            parameters,
        ).fetchall()
        return _with_deliveries(connection, rows)

    return await store.read(work)


async def matches(store: Store, text: str, *, limit: int = 10) -> list[Call]:
    """Return the call whose call id or record id is `text`, else those where one begins with it.

    The newest come first.
    """

    def work(connection: Connection) -> list[Call]:
        exact = connection.execute(
            f"SELECT {_COLUMNS} FROM records WHERE call_id = ? OR record_id = ?",  # noqa: S608
            (text, text.lower()),
        ).fetchall()
        rows = (
            exact
            or connection.execute(
                f"SELECT {_COLUMNS} FROM records WHERE (call_id >= ? AND call_id < ?)"  # noqa: S608
                " OR (record_id >= ? AND record_id < ?) ORDER BY opened_at DESC LIMIT ?",
                (text, text + _LAST, text.lower(), text.lower() + _LAST, limit),
            ).fetchall()
        )
        return _with_deliveries(connection, rows)

    return await store.read(work)


async def undelivered(store: Store, selection: Selection, sink: str | None) -> list[Undelivered]:
    """Return the dead letters and what is parked, the longest so first."""
    where, parameters = selection.condition()
    if sink is not None:
        where, parameters = f"{where} AND sink = ?", [*parameters, sink]

    def work(connection: Connection) -> list[Undelivered]:
        rows = connection.execute(
            "SELECT records.call_id, record_id, records.business, caller, opened_at, ended_at,"  # noqa: S608
            " reason, sink, state, attempts, due_at, settled_at, last_status, last_error"
            " FROM deliveries JOIN records ON records.call_id = deliveries.call_id"
            f" WHERE state IN ('dead', 'parked') AND {where}"
            " ORDER BY settled_at, records.call_id, sink",
            parameters,
        )
        return [Undelivered(_call(row, (found := _delivery(row),)), found) for row in rows]

    return await store.read(work)


async def outbox(store: Store) -> tuple[list[Queue], list[ParkedEndpoint], int]:
    """Return all deliveries by endpoint and state, the parked endpoints, and how many records."""

    def work(connection: Connection) -> tuple[list[Queue], list[ParkedEndpoint], int]:
        queues = connection.execute(
            "SELECT deliveries.business, sink, state, count(*) AS n, min(ended_at) AS oldest_at,"
            " min(due_at) AS next_at,"
            " sum(CASE WHEN state = 'pending' AND attempts > 0 THEN 1 ELSE 0 END) AS failing"
            " FROM deliveries JOIN records ON records.call_id = deliveries.call_id"
            " GROUP BY deliveries.business, sink, state ORDER BY deliveries.business, sink, state"
        ).fetchall()
        total = connection.execute("SELECT count(*) AS n FROM records").fetchone()
        return (
            [_queue(row) for row in queues],
            _parked(connection),
            0 if total is None else int(total["n"]),
        )

    return await store.read(work)


def _parked(connection: Connection) -> list[ParkedEndpoint]:
    """Return the endpoints that get nothing, in the order of their names."""
    rows = connection.execute(
        "SELECT business, sink, parked_at FROM endpoints WHERE parked_at IS NOT NULL"
        " ORDER BY business, sink"
    )
    return [
        ParkedEndpoint(Endpoint(row["business"], row["sink"]), from_text(row["parked_at"]))
        for row in rows
    ]


async def bodies(store: Store, call_ids: Sequence[str]) -> dict[str, bytes]:
    """Return the records of calls, as they are delivered; those that there are not are left out."""

    def work(connection: Connection) -> dict[str, bytes]:
        rows = connection.execute(
            "SELECT call_id, body FROM records"  # noqa: S608  # question marks
            f" WHERE call_id IN ({_marks(call_ids)})",
            call_ids,
        )
        return {row["call_id"]: bytes(row["body"]) for row in rows}

    return await store.read(work) if call_ids else {}


async def names(store: Store, limit: int | None = None) -> list[tuple[str, str]]:
    """Return the call id and the record id of every call, or of the newest ones."""

    def work(connection: Connection) -> list[tuple[str, str]]:
        sql = "SELECT call_id, record_id FROM records"
        rows = (
            connection.execute(sql)
            if limit is None
            else connection.execute(f"{sql} ORDER BY opened_at DESC LIMIT ?", (limit,))
        )
        return [(row["call_id"], row["record_id"]) for row in rows]

    return await store.read(work)


def _with_deliveries(connection: Connection, rows: Sequence[Row]) -> list[Call]:
    found: dict[str, list[Delivery]] = {row["call_id"]: [] for row in rows}
    for some in _some(list(found)):
        deliveries = connection.execute(
            "SELECT call_id, sink, state, attempts, due_at, settled_at, last_status, last_error"  # noqa: S608
            f" FROM deliveries WHERE call_id IN ({_marks(some)}) ORDER BY sink DESC",
            some,
        )
        for row in deliveries:
            found[row["call_id"]].append(_delivery(row))
    return [_call(row, found[row["call_id"]]) for row in rows]


def _some(call_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(call_ids), _AT_ONCE):
        yield call_ids[start : start + _AT_ONCE]


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _call(row: Row, deliveries: Sequence[Delivery]) -> Call:
    return Call(
        row["call_id"],
        row["record_id"],
        row["business"],
        row["caller"],
        from_text(row["opened_at"]),
        from_text(row["ended_at"]),
        row["reason"],
        tuple(deliveries),
    )


def _delivery(row: Row) -> Delivery:
    return Delivery(
        row["sink"],
        DeliveryState(row["state"]),
        row["attempts"],
        _time(row["due_at"]),
        _time(row["settled_at"]),
        row["last_status"],
        row["last_error"],
    )


def _queue(row: Row) -> Queue:
    return Queue(
        Endpoint(row["business"], row["sink"]),
        DeliveryState(row["state"]),
        int(row["n"]),
        from_text(row["oldest_at"]),
        _time(row["next_at"]),
        int(row["failing"]),
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else from_text(text)
