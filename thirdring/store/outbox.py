"""Records on their way: each stored once, with how far its delivery to each sink has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self
from uuid import UUID

from thirdring.record import Record
from thirdring.store import claiming, endpoints
from thirdring.store.delivery import DeliveryState, Due, Endpoint, Settlement
from thirdring.store.memory import CallerFact, note_facts
from thirdring.store.notifications import Notice, add_notices
from thirdring.store.store import Connection, Store, to_text

__all__ = ["DeliveryState", "Due", "Endpoint", "NewRecord", "Outbox", "Put", "Settlement"]

# SQLite takes 32,766 parameters in one statement, PostgreSQL 65,535; a record has nine.
_ROWS_AT_ONCE = 1000


class Put(StrEnum):
    """What became of a record that was to be stored."""

    STORED = "stored"
    KNOWN = "known"  # the same record was there
    CONFLICT = "conflict"  # another record of this call was there, and stays


@dataclass(frozen=True)
class NewRecord:
    """A record that is to be stored.

    Attributes:
        business: Its slug; None when the call was to no line.
        sinks: Where it goes; with none it is only kept.
        caller: The number; None when it was hidden.
        reason: Why the call ended.
        notice: What staff are told of it.
        fact: What is remembered of the caller.
    """

    call_id: str
    record_id: UUID
    business: str | None
    body: bytes
    sinks: tuple[str, ...]
    caller: str | None
    opened_at: datetime
    ended_at: datetime
    reason: str
    notice: Notice | None = None
    fact: CallerFact | None = None

    @classmethod
    def of(
        cls,
        record: Record,
        sinks: tuple[str, ...],
        *,
        notice: Notice | None = None,
        fact: CallerFact | None = None,
    ) -> Self:
        """Return what is stored of a record.

        Raises:
            OverflowError: One of its times has no year in UTC; no other record need wait for it.
        """
        return cls(
            call_id=record.call_id,
            record_id=record.id,
            business=record.business,
            body=record.model_dump_json().encode(),
            sinks=sinks,
            caller=record.caller_number,
            opened_at=record.opened_at.astimezone(UTC),
            ended_at=record.ended_at.astimezone(UTC),
            reason=record.ending.reason,
            notice=notice,
            fact=fact,
        )


class Outbox:
    """The records and their deliveries in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, records: Sequence[NewRecord], now: datetime) -> list[Put]:
        """Store records in one transaction, each with its deliveries, due at once, its caller, what
        is remembered of them and what staff are told.

        The first record of a call stays. The answers are in the order of `records`.
        """

        def work(connection: Connection) -> list[Put]:
            put = _insert_records(connection, records, to_text(now))
            new = [record for index, record in enumerate(records) if put[index] is Put.STORED]
            _insert_deliveries(connection, new, now)
            _count_callers(connection, new)
            note_facts(connection, [each.fact for each in new if each.fact is not None])
            add_notices(connection, [each.notice for each in new if each.notice is not None])
            return put

        return await self._store.write(work)

    async def claim(
        self,
        owner: str,
        now: datetime,
        *,
        lease: timedelta,
        limit: int,
        free: Mapping[Endpoint, int],
    ) -> list[Due]:
        """Take deliveries that are due, the longest due first; nobody else gets them meanwhile.

        A new record is due whatever the time: a clock that was set back delays no first attempt.

        Args:
            owner: Who takes them; the same after a restart.
            lease: For how long; then others may take them.
            limit: At most so many in all.
            free: At most so many of each endpoint, so that one whose receiver is down or slow does
                not keep the others waiting. Endpoints that are not in it get nothing: their
                deliveries wait until they are configured again.
        """
        request = claiming.Claim(owner, now, now + lease, limit, free)
        return await self._store.write(lambda connection: claiming.claim(connection, request))

    async def settle(self, settlements: Sequence[Settlement], *, owner: str, now: datetime) -> None:
        """Note attempts, in one transaction.

        What was delivered is noted whoever holds the lease. A failure counts only while it is
        still `owner`'s, for otherwise somebody else is trying. What is settled stays as it is.
        """
        await self._store.write(
            lambda connection: claiming.settle(connection, settlements, owner, to_text(now))
        )

    async def release(self, owner: str) -> int:
        """Give up all leases of `owner`, as a courier does when it starts; return how many."""
        return await self._store.write(lambda connection: claiming.release(connection, owner))

    async def hasten(
        self, now: datetime, *, beyond: datetime, endpoint: Endpoint | None = None
    ) -> int:
        """Make due now what is due later than `beyond`, the oldest records first; return how many.

        The attempt that this adds is not counted: when it fails too, the delivery waits as long
        once more, and has as many attempts left as before. So nothing is given up any sooner.

        Args:
            endpoint: None for all of them; of one, what it has asked to get later (429) is left.
        """
        return await self._store.write(
            lambda connection: claiming.hasten(connection, to_text(beyond), to_text(now), endpoint)
        )

    async def configure(self, addresses: Mapping[Endpoint, str], now: datetime) -> list[Endpoint]:
        """Make known where the endpoints are; return those that are parked no more.

        An endpoint whose address has changed since it was parked is another one.
        """
        return await self._store.write(
            lambda connection: endpoints.configure(connection, addresses, to_text(now))
        )

    async def park(self, endpoint: Endpoint, now: datetime) -> None:
        """Let nothing more be delivered to an endpoint; what is pending for it is parked."""
        await self._store.write(
            lambda connection: endpoints.park(connection, endpoint, to_text(now))
        )

    async def unpark(self, endpoint: Endpoint, now: datetime) -> int:
        """Deliver to an endpoint again, all that was parked included; return how many those are."""
        return await self._store.write(
            lambda connection: endpoints.unpark(connection, endpoint, to_text(now))
        )

    async def record(self, call_id: str) -> bytes | None:
        """Return the body of a call's record, as it is delivered."""

        def work(connection: Connection) -> bytes | None:
            row = connection.execute(
                "SELECT body FROM records WHERE call_id = ?", (call_id,)
            ).fetchone()
            return None if row is None else bytes(row["body"])

        return await self._store.read(work)

    async def states(self, call_id: str) -> dict[str, DeliveryState] | None:
        """Return how far the record of a call has come, by sink; None without a record."""

        def work(connection: Connection) -> dict[str, DeliveryState] | None:
            rows = connection.execute(
                "SELECT sink, state FROM records LEFT JOIN deliveries USING (call_id)"
                " WHERE call_id = ?",
                (call_id,),
            ).fetchall()
            found = {row["sink"]: DeliveryState(row["state"]) for row in rows if row["sink"]}
            return found if rows else None

        return await self._store.read(work)

    async def counts(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state."""

        def work(connection: Connection) -> dict[DeliveryState, int]:
            rows = connection.execute("SELECT state, count(*) AS n FROM deliveries GROUP BY state")
            found = {row["state"]: row["n"] for row in rows}
            return {state: found.get(state, 0) for state in DeliveryState}

        return await self._store.read(work)


def _insert_records(connection: Connection, records: Sequence[NewRecord], now: str) -> list[Put]:
    """Insert those of calls that have no record yet; the first of each call counts."""
    put: dict[int, Put] = {}
    # In the order of their ids: two couriers that store the same ones wait for each other in turn,
    # not in a circle.
    order = sorted(range(len(records)), key=lambda index: records[index].call_id)
    for start in range(0, len(order), _ROWS_AT_ONCE):
        part = order[start : start + _ROWS_AT_ONCE]
        rows = [_row(records[index], now) for index in part]
        inserted = connection.execute(
            "INSERT INTO records (call_id, record_id, business, body, stored_at, caller, opened_at,"  # noqa: S608
            f" ended_at, reason) VALUES {', '.join(['(?, ?, ?, ?, ?, ?, ?, ?, ?)'] * len(rows))}"
            " ON CONFLICT (call_id) DO NOTHING RETURNING record_id",
            [value for row in rows for value in row],
        )
        # Not by the call id: a caller may choose one that PostgreSQL does not store as it is.
        new = {row["record_id"] for row in inserted}
        for index in part:
            if (record_id := str(records[index].record_id)) in new:
                new.remove(record_id)
                put[index] = Put.STORED
    others = [index for index in order if index not in put]
    for index in others:
        put[index] = _compared(connection, records[index])
    return [put[index] for index in range(len(records))]


def _row(record: NewRecord, now: str) -> tuple[object, ...]:
    return (
        record.call_id,
        str(record.record_id),
        record.business,
        record.body,
        now,
        record.caller,
        to_text(record.opened_at),
        to_text(record.ended_at),
        record.reason,
    )


def _compared(connection: Connection, record: NewRecord) -> Put:
    row = connection.execute(
        "SELECT body FROM records WHERE call_id = ?", (record.call_id,)
    ).fetchone()
    return Put.KNOWN if row is not None and bytes(row["body"]) == record.body else Put.CONFLICT


def _insert_deliveries(connection: Connection, new: Sequence[NewRecord], now: datetime) -> None:
    wanted = [
        (record.call_id, Endpoint(record.business, sink))
        for record in new
        if record.business is not None
        for sink in record.sinks
    ]
    parked = endpoints.known(connection, {endpoint for _, endpoint in wanted})
    at = to_text(now)
    connection.executemany(
        "INSERT INTO deliveries (call_id, sink, business, state, due_at, settled_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (call_id, endpoint.sink, endpoint.business, DeliveryState.PARKED, None, at)
            if endpoint in parked
            else (call_id, endpoint.sink, endpoint.business, DeliveryState.PENDING, at, None)
            for call_id, endpoint in wanted
        ],
    )


def _count_callers(connection: Connection, new: Sequence[NewRecord]) -> None:
    rows = [
        (record.business, record.caller, to_text(record.opened_at), to_text(record.opened_at))
        for record in new
        if record.business is not None and record.caller is not None
    ]
    connection.executemany(
        "INSERT INTO callers (business, number, first_call_at, last_call_at, calls)"
        " VALUES (?, ?, ?, ?, 1) ON CONFLICT (business, number) DO UPDATE SET"
        " calls = callers.calls + 1,"
        " first_call_at = CASE WHEN excluded.first_call_at < callers.first_call_at"
        " THEN excluded.first_call_at ELSE callers.first_call_at END,"
        " last_call_at = CASE WHEN excluded.last_call_at > callers.last_call_at"
        " THEN excluded.last_call_at ELSE callers.last_call_at END",
        sorted(rows),
    )
