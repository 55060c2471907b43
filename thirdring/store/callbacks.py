"""Callers who want to be called back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid5

from thirdring.record import record_id
from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = ["CallbackBook", "CallbackRequest", "add_callback"]


@dataclass(frozen=True)
class CallbackRequest:
    """Who wants to be called back, and when.

    Attributes:
        key: Of the tool call that noted it; the same key never notes two.
        wanted: When, in the caller's words.
        wanted_at: None when those name no time.
    """

    business: str
    key: str
    number: str
    name: str | None
    wanted: str
    wanted_at: datetime | None
    reason: str | None
    call_id: str
    asked_at: datetime


def add_callback(connection: Connection, request: CallbackRequest) -> str:
    """Note a request as part of a transaction; return its id.

    A second one for the same number in the same call takes the place of the first: the caller has
    changed their mind.
    """
    row = connection.execute(
        "SELECT id FROM callbacks WHERE idempotency_key = ?", (request.key,)
    ).fetchone()
    if row is not None:
        return str(row["id"])
    connection.execute(
        "DELETE FROM callbacks WHERE call_id = ? AND number = ?",
        (request.call_id, request.number),
    )
    identity = str(uuid5(record_id(request.call_id), f"callback {request.key}"))
    connection.execute(
        "INSERT INTO callbacks (id, business, number, name, wanted, wanted_at, reason, call_id,"
        " idempotency_key, asked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identity,
            request.business,
            request.number,
            request.name,
            request.wanted,
            None if request.wanted_at is None else to_text(request.wanted_at),
            request.reason,
            request.call_id,
            request.key,
            to_text(request.asked_at),
        ),
    )
    return identity


class CallbackBook:
    """The requests in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_call(self, call_id: str) -> list[CallbackRequest]:
        """Return the requests of one call."""
        return await self._store.read(
            lambda connection: [
                _request(row)
                for row in connection.execute(
                    "SELECT * FROM callbacks WHERE call_id = ? ORDER BY asked_at, id", (call_id,)
                )
            ]
        )

    async def of_number(self, business: str, number: str) -> list[CallbackRequest]:
        """Return what one caller has asked a business for, the oldest first."""
        return await self._store.read(
            lambda connection: [
                _request(row)
                for row in connection.execute(
                    "SELECT * FROM callbacks WHERE business = ? AND number = ?"
                    " ORDER BY asked_at, id",
                    (business, number),
                )
            ]
        )


def _request(row: Row) -> CallbackRequest:
    return CallbackRequest(
        business=row["business"],
        key=row["idempotency_key"],
        number=row["number"],
        name=row["name"],
        wanted=row["wanted"],
        wanted_at=None if row["wanted_at"] is None else from_text(row["wanted_at"]),
        reason=row["reason"],
        call_id=row["call_id"],
        asked_at=from_text(row["asked_at"]),
    )
