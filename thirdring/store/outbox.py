"""Records on their way: each stored once, with how far its delivery has come."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from thirdring.sinks.results import DeliveryResult
from thirdring.store.sqlite import Store, to_text

__all__ = ["DeliveryState", "Due", "Outbox", "Put"]


class DeliveryState(StrEnum):
    """How far a delivery has come; all but `pending` are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DISABLED = "disabled"  # the receiver answered 410
    DEAD = "dead"  # every attempt of the schedule failed
    KEPT = "kept"  # the business has no webhook


class Put(StrEnum):
    """What became of a record that was to be stored."""

    STORED = "stored"
    KNOWN = "known"  # the same record was there
    CONFLICT = "conflict"  # another record of this call was there, and stays


@dataclass(frozen=True)
class Due:
    """A delivery whose time has come; `attempts` are those before."""

    call_id: str
    record_id: str
    business: str
    body: bytes
    attempts: int


class Outbox:
    """The records and their deliveries in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(
        self,
        call_id: str,
        record_id: UUID,
        body: bytes,
        *,
        business: str | None,
        deliver: bool,
        now: datetime,
    ) -> Put:
        """Store the record of a call, due at once or to be kept; the first one of a call stays."""

        def work(connection: sqlite3.Connection) -> Put:
            known = connection.execute(
                "SELECT body FROM records WHERE call_id = ?", (call_id,)
            ).fetchone()
            if known is not None:
                return Put.KNOWN if known["body"] == body else Put.CONFLICT
            at = to_text(now)
            connection.execute(
                "INSERT INTO records (call_id, record_id, business, body, stored_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (call_id, str(record_id), business, body, at),
            )
            state = DeliveryState.PENDING if deliver else DeliveryState.KEPT
            connection.execute(
                "INSERT INTO deliveries (call_id, state, due_at, settled_at) VALUES (?, ?, ?, ?)",
                (call_id, state, at if deliver else None, None if deliver else at),
            )
            return Put.STORED

        return await self._store.write(work)

    async def due(self, now: datetime, *, per_business: int = 8) -> list[Due]:
        """Return deliveries whose time has come, the longest due first.

        A new record is due whatever the time: a clock that was set back delays no first attempt.

        Args:
            per_business: At most so many of each, so that one whose receiver is down or slow does
                not keep the others waiting.
        """

        def work(connection: sqlite3.Connection) -> list[Due]:
            rows = connection.execute(
                "SELECT * FROM (SELECT call_id, record_id, business, body, attempts, due_at,"
                " row_number() OVER (PARTITION BY business ORDER BY due_at) AS place"
                " FROM deliveries JOIN records USING (call_id)"
                " WHERE state = 'pending' AND (due_at <= ? OR attempts = 0))"
                " WHERE place <= ? ORDER BY due_at",
                (to_text(now), per_business),
            )
            return [
                Due(row["call_id"], row["record_id"], row["business"], row["body"], row["attempts"])
                for row in rows
            ]

        return await self._store.read(work)

    async def settle(
        self,
        call_id: str,
        state: DeliveryState,
        result: DeliveryResult | None,
        *,
        now: datetime,
        due_at: datetime | None = None,
    ) -> None:
        """Note one attempt; a delivery that is not pending any more stays as it is.

        Args:
            result: None when there was nobody to deliver to.
            due_at: When to try again; goes with `pending`, and only with it.
        """
        status, error = (result.status, result.error) if result else (None, None)
        pending = state is DeliveryState.PENDING
        values = (
            state,
            0 if result is None else 1,
            to_text(due_at) if due_at else None,
            None if pending else to_text(now),
            status,
            error,
            call_id,
        )
        await self._store.write(
            lambda connection: connection.execute(
                "UPDATE deliveries SET state = ?, attempts = attempts + ?, due_at = ?,"
                " settled_at = ?, last_status = ?, last_error = ?"
                " WHERE call_id = ? AND state = 'pending'",
                values,
            )
        )

    async def record(self, call_id: str) -> bytes | None:
        """Return the body of a call's record, as it is delivered."""

        def work(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(
                "SELECT body FROM records WHERE call_id = ?", (call_id,)
            ).fetchone()
            return None if row is None else bytes(row["body"])

        return await self._store.read(work)

    async def state(self, call_id: str) -> DeliveryState | None:
        """Return how far the delivery of a call's record has come; None without a record."""

        def work(connection: sqlite3.Connection) -> DeliveryState | None:
            row = connection.execute(
                "SELECT state FROM deliveries WHERE call_id = ?", (call_id,)
            ).fetchone()
            return None if row is None else DeliveryState(row["state"])

        return await self._store.read(work)

    async def counts(self) -> dict[DeliveryState, int]:
        """Return how many deliveries are in each state."""

        def work(connection: sqlite3.Connection) -> dict[DeliveryState, int]:
            rows = connection.execute("SELECT state, count(*) AS n FROM deliveries GROUP BY state")
            found = {row["state"]: row["n"] for row in rows}
            return {state: found.get(state, 0) for state in DeliveryState}

        return await self._store.read(work)
