"""The events of a business: meetings that its agent has put into its calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from thirdring.store import agenda
from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = ["Event", "EventBook"]


@dataclass(frozen=True)
class Event:
    """A meeting.

    Attributes:
        id: Made of the call and of what was wished for: the same wish is the same event.
        key: The tool call that asked for it.
    """

    id: str
    title: str
    starts_at: datetime
    ends_at: datetime
    with_name: str | None
    with_number: str | None
    call_id: str
    key: str


class EventBook:
    """The events of one business in the store."""

    def __init__(self, store: Store, business: str) -> None:
        self._store = store
        self._business = business

    async def add(self, event: Event, *, now: datetime) -> Event | None:
        """Add an event, or return None when its time is not free.

        Adding it again returns what was added the first time.
        """
        return await self._store.write(lambda connection: self._add(connection, event, now))

    async def find(self, event_id: str) -> Event | None:
        """Return an event."""
        return await self._store.read(lambda connection: self._find(connection, event_id))

    async def of_call(self, call_id: str) -> list[Event]:
        """Return what was added during a call, in order of time."""
        return await self._store.read(
            lambda connection: [
                _event(row)
                for row in connection.execute(
                    "SELECT * FROM events WHERE business = ? AND call_id = ? ORDER BY starts_at",
                    (self._business, call_id),
                )
            ]
        )

    def _add(self, connection: Connection, event: Event, now: datetime) -> Event | None:
        agenda.lock(connection, self._business)
        known = self._find(connection, event.id)
        if known is not None:
            return known
        if agenda.taken(connection, self._business, event, call_id=event.call_id, now=now):
            return None
        agenda.release(connection, self._business, event.call_id)
        connection.execute(
            "INSERT INTO events (business, id, title, starts_at, ends_at, with_name, with_number,"
            " call_id, idempotency_key, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._business,
                event.id,
                event.title,
                to_text(event.starts_at),
                to_text(event.ends_at),
                event.with_name,
                event.with_number,
                event.call_id,
                event.key,
                to_text(now),
            ),
        )
        return event

    def _find(self, connection: Connection, event_id: str) -> Event | None:
        row = connection.execute(
            "SELECT * FROM events WHERE business = ? AND id = ?", (self._business, event_id)
        ).fetchone()
        return None if row is None else _event(row)


def _event(row: Row) -> Event:
    return Event(
        id=row["id"],
        title=row["title"],
        starts_at=from_text(row["starts_at"]),
        ends_at=from_text(row["ends_at"]),
        with_name=row["with_name"],
        with_number=row["with_number"],
        call_id=row["call_id"],
        key=row["idempotency_key"],
    )
