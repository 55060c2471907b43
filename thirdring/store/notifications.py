"""What staff are told: noted together with what it tells of, sent by the courier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid5

from thirdring.record import record_id
from thirdring.staff import Target
from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = [
    "DueNotification",
    "Notice",
    "Notification",
    "NotificationQueue",
    "NotificationState",
    "Sending",
    "Standing",
    "add_notices",
    "most_told",
]

LONGEST_TITLE, LONGEST_BODY = 120, 2000

_WAITS = (
    "state = 'pending' AND (attempts = 0 OR due_at <= ?)"
    " AND (leased_until IS NULL OR leased_until <= ?)"
)
_SETTLE = (
    "UPDATE notifications SET state = ?, attempts = attempts + 1, due_at = ?, settled_at = ?,"
    " last_error = ?, leased_by = NULL, leased_until = NULL WHERE id = ? AND state = 'pending'"
)


class NotificationState(StrEnum):
    """How far a notification has come."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"  # every attempt of the schedule failed


@dataclass(frozen=True)
class Notice:
    """One thing that staff are told.

    Attributes:
        key: What it tells of; of one call the same key tells nobody twice.
        targets: Who is told.
    """

    key: str
    business: str
    title: str
    body: str
    urgent: bool
    call_id: str
    created_at: datetime
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Notification:
    """A notice on its way to one target."""

    target: Target
    title: str
    body: str
    urgent: bool
    call_id: str
    state: NotificationState
    attempts: int
    due_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class DueNotification:
    """One that its claimer is to send now; `attempts` are those before."""

    id: str
    target: Target
    title: str
    body: str
    urgent: bool
    call_id: str
    attempts: int


@dataclass(frozen=True)
class Sending:
    """What became of one attempt.

    Attributes:
        due_at: When to try again; with `pending`, and only with it.
        error: Why it failed, without any part of the address.
    """

    id: str
    state: NotificationState
    due_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True)
class Standing:
    """How many notifications of a business are in a state, and since when."""

    business: str
    state: NotificationState
    count: int
    oldest_at: datetime


def add_notices(connection: Connection, notices: Iterable[Notice]) -> None:
    """Note what staff are to be told as part of a transaction; it is due at once."""
    connection.executemany(
        "INSERT INTO notifications (id, business, recipient, channel, title, body, urgent, call_id,"
        " created_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        sorted(row for notice in notices for row in _rows(notice)),
    )


def most_told(connection: Connection, call_id: str) -> int:
    """Return how many notifications of one call the same target has got, or will."""
    row = connection.execute(
        "SELECT count(*) AS n FROM notifications WHERE call_id = ?"
        " GROUP BY recipient, channel ORDER BY n DESC LIMIT 1",
        (call_id,),
    ).fetchone()
    return 0 if row is None else int(row["n"])


def _rows(notice: Notice) -> Iterable[tuple[object, ...]]:
    at = to_text(notice.created_at)
    for target in notice.targets:
        place = f"notification {notice.key} {target.recipient} {target.channel}"
        yield (
            str(uuid5(record_id(notice.call_id), place)),
            *target,
            notice.title[:LONGEST_TITLE],
            notice.body[:LONGEST_BODY],
            int(notice.urgent),
            notice.call_id,
            at,
            at,
        )


class NotificationQueue:
    """The notifications in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, notice: Notice) -> None:
        """Note what staff are to be told."""
        await self._store.write(lambda connection: add_notices(connection, [notice]))

    async def claim(
        self, owner: str, now: datetime, *, lease: timedelta, free: Sequence[Target], limit: int
    ) -> list[DueNotification]:
        """Take the next notification of each target in `free`; nobody else gets it meanwhile.

        Urgent ones come first. A new one is due whatever the time.

        Args:
            limit: Of so many targets at most, in the order of `free`.
        """
        at = to_text(now)
        # Nobody waits for a writer who finds nothing to do.
        waiting = set(await self._store.read(lambda connection: _with_work(connection, at)))
        wanted = [target for target in free if target in waiting][:limit]
        if not wanted:
            return []

        def work(connection: Connection) -> list[DueNotification]:
            rows = [row for target in wanted for row in _next(connection, target, at)]
            until = to_text(now + lease)
            connection.executemany(
                "UPDATE notifications SET leased_by = ?, leased_until = ? WHERE id = ?",
                [(owner, until, row["id"]) for row in rows],
            )
            return [_due(row) for row in rows]

        return await self._store.write(work)

    async def settle(self, sendings: Sequence[Sending], *, owner: str, now: datetime) -> None:
        """Note attempts. What was sent is noted whoever holds the lease, a failure only ours."""

        def work(connection: Connection) -> None:
            for each in sorted(sendings, key=lambda sending: sending.id):
                sent = each.state is NotificationState.SENT
                connection.execute(
                    _SETTLE if sent else f"{_SETTLE} AND leased_by = ?",
                    (*_settled(each, to_text(now)), *(() if sent else (owner,))),
                )

        await self._store.write(work)

    async def release(self, owner: str) -> int:
        """Give up all leases of `owner`; return how many."""
        return await self._store.write(
            lambda connection: (
                connection.execute(
                    "UPDATE notifications SET leased_by = NULL, leased_until = NULL"
                    " WHERE leased_by = ?",
                    (owner,),
                ).rowcount
            )
        )

    async def of_call(self, call_id: str) -> list[Notification]:
        """Return what staff are told of a call, the oldest first."""
        return await self._store.read(
            lambda connection: [
                _notification(row)
                for row in connection.execute(
                    "SELECT * FROM notifications WHERE call_id = ?"
                    " ORDER BY created_at, recipient, channel, id",
                    (call_id,),
                )
            ]
        )

    async def standing(self, *, dead_since: datetime) -> list[Standing]:
        """Return how many notifications of each business are in each state.

        Args:
            dead_since: What was given up earlier is not counted.
        """
        return await self._store.read(
            lambda connection: [
                Standing(
                    row["business"],
                    NotificationState(row["state"]),
                    row["n"],
                    from_text(row["oldest"]),
                )
                for row in connection.execute(
                    "SELECT business, state, count(*) AS n, min(created_at) AS oldest"
                    " FROM notifications WHERE state <> 'dead' OR settled_at >= ?"
                    " GROUP BY business, state ORDER BY business, state",
                    (to_text(dead_since),),
                )
            ]
        )

    async def sweep(self, business: str, before: datetime) -> int:
        """Delete what was sent or given up before a time; return how many those are."""
        return await self._store.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM notifications WHERE business = ? AND state IN ('sent', 'dead')"
                    " AND settled_at < ?",
                    (business, to_text(before)),
                ).rowcount
            )
        )


def _with_work(connection: Connection, now: str) -> list[Target]:
    rows = connection.execute(
        f"SELECT DISTINCT business, recipient, channel FROM notifications WHERE {_WAITS}",  # noqa: S608
        (now, now),
    )
    return [Target(row["business"], row["recipient"], row["channel"]) for row in rows]


def _next(connection: Connection, target: Target, now: str) -> list[Row]:
    return connection.execute(
        "SELECT * FROM notifications"  # noqa: S608
        f" WHERE business = ? AND recipient = ? AND channel = ? AND {_WAITS}"
        f" ORDER BY urgent DESC, due_at, id LIMIT 1 {connection.skip_locked}",
        (*target, now, now),
    ).fetchall()


def _settled(sending: Sending, now: str) -> tuple[object, ...]:
    pending = sending.state is NotificationState.PENDING
    return (
        sending.state,
        None if sending.due_at is None else to_text(sending.due_at),
        None if pending else now,
        sending.error,
        sending.id,
    )


def _due(row: Row) -> DueNotification:
    return DueNotification(
        id=row["id"],
        target=Target(row["business"], row["recipient"], row["channel"]),
        title=row["title"],
        body=row["body"],
        urgent=bool(row["urgent"]),
        call_id=row["call_id"],
        attempts=row["attempts"],
    )


def _notification(row: Row) -> Notification:
    return Notification(
        target=Target(row["business"], row["recipient"], row["channel"]),
        title=row["title"],
        body=row["body"],
        urgent=bool(row["urgent"]),
        call_id=row["call_id"],
        state=NotificationState(row["state"]),
        attempts=row["attempts"],
        due_at=None if row["due_at"] is None else from_text(row["due_at"]),
        error=row["last_error"],
    )
