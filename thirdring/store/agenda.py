"""What fills the time of a business: appointments, events, and times that are kept for callers.

A time is kept for a call from the moment the caller has chosen it until they have agreed to what
was read back to them, so that no two callers are promised the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from thirdring.store.store import Connection, Store, from_text, to_text

__all__ = ["HOLD", "Agenda", "Span", "Timed", "lock", "overlap", "release", "taken"]

HOLD: Final = timedelta(minutes=3)
"""For how long a time is kept for a caller who has not agreed yet."""


class Timed(Protocol):
    """Whatever has a beginning and an end."""

    @property
    def starts_at(self) -> datetime: ...

    @property
    def ends_at(self) -> datetime: ...


@dataclass(frozen=True, order=True)
class Span:
    """From one moment to another."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Agenda:
    """The time of one business as one call sees it: what is kept for that call itself is free."""

    store: Store
    business: str
    call_id: str

    async def taken(self, span: Timed, *, now: datetime) -> list[Span]:
        """Return what is not free of a span, in order."""
        return await self.store.read(
            lambda connection: taken(connection, self.business, span, call_id=self.call_id, now=now)
        )

    async def has(self, span: Timed) -> bool:
        """Return whether an appointment or an event of this call fills a span."""
        one = "business = ? AND call_id = ? AND starts_at = ? AND ends_at = ?"
        this = (self.business, self.call_id, to_text(span.starts_at), to_text(span.ends_at))
        row = await self.store.read(
            lambda connection: connection.execute(
                f"SELECT 1 FROM appointments WHERE {one} UNION ALL SELECT 1 FROM events"  # noqa: S608
                f" WHERE {one}",
                (*this, *this),
            ).fetchone()
        )
        return row is not None

    async def hold(self, span: Timed, *, now: datetime) -> bool:
        """Keep a span for this call, in place of what was kept for it before; False when taken."""

        def keep(connection: Connection) -> bool:
            lock(connection, self.business)
            release(connection, self.business, self.call_id)
            connection.execute(
                "DELETE FROM holds WHERE business = ? AND expires_at <= ?",
                (self.business, to_text(now)),
            )
            if taken(connection, self.business, span, call_id=self.call_id, now=now):
                return False
            connection.execute(
                "INSERT INTO holds (business, starts_at, ends_at, call_id, expires_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    self.business,
                    to_text(span.starts_at),
                    to_text(span.ends_at),
                    self.call_id,
                    to_text(now + HOLD),
                ),
            )
            return True

        return await self.store.write(keep)

    async def release(self) -> None:
        """Keep nothing for this call any more."""
        await self.store.write(lambda connection: release(connection, self.business, self.call_id))


def overlap(one: Timed, other: Timed) -> bool:
    """Tell whether two have any time in common."""
    return one.starts_at < other.ends_at and one.ends_at > other.starts_at


def lock(connection: Connection, business: str) -> None:
    """Let nobody else fill this business's time before this transaction has ended."""
    connection.lock(f"agenda of {business}")


def release(connection: Connection, business: str, call_id: str) -> None:
    """Keep nothing for a call any more."""
    connection.execute("DELETE FROM holds WHERE business = ? AND call_id = ?", (business, call_id))


def taken(
    connection: Connection, business: str, span: Timed, *, call_id: str, now: datetime
) -> list[Span]:
    """Return what of a span is not free for a call, in order; see `Agenda.taken`."""
    within = (business, to_text(span.ends_at), to_text(span.starts_at))
    where = "WHERE business = ? AND starts_at < ? AND ends_at > ?"
    rows = connection.execute(
        f"SELECT starts_at, ends_at FROM appointments {where}"  # noqa: S608 - no value in it
        f" UNION ALL SELECT starts_at, ends_at FROM events {where}"
        f" UNION ALL SELECT starts_at, ends_at FROM holds {where}"
        " AND call_id <> ? AND expires_at > ? ORDER BY starts_at, ends_at",
        (*within, *within, *within, call_id, to_text(now)),
    )
    return [Span(from_text(row["starts_at"]), from_text(row["ends_at"])) for row in rows]
