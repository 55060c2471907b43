"""Errands: what somebody else is to be called for, and what came of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue

from thirdring.store.store import Connection, Row, Store, to_text

__all__ = ["OPEN", "Errand", "Wish", "add", "find", "open_errands", "settle"]

OPEN = "open"
"""The state of an errand that nobody has done yet."""

_FIRST_NUMBER = 1001


@dataclass(frozen=True)
class Wish:
    """What is to be done.

    Attributes:
        number: Whom to call, in E.164; None when it is still to be found out.
        details: As JSON.
        key: The tool call that asks; the same key never adds two errands.
    """

    business: str
    kind: str
    number: str | None
    details: dict[str, JsonValue]
    call_id: str
    key: str


@dataclass(frozen=True)
class Errand:
    """Something to call somebody else for.

    Attributes:
        id: What people are told, as in `E-1001`; unique within the business.
        state: `open`, or what came of it.
        result: What the call for it has left behind; None before.
        call_id: The call in which it was asked for.
    """

    id: str
    business: str
    kind: str
    state: str
    number: str | None
    details: dict[str, JsonValue]
    result: dict[str, JsonValue] | None
    call_id: str


def add(connection: Connection, wish: Wish, *, now: datetime) -> Errand:
    """Add an errand within a transaction; the same key returns the one that it made."""
    connection.lock(f"errands of {wish.business}")
    same = connection.execute(
        "SELECT * FROM errands WHERE idempotency_key = ?", (wish.key,)
    ).fetchone()
    if same is not None:
        return _errand(same)
    number = connection.execute(
        "INSERT INTO reference_numbers (business, last) VALUES (?, ?) ON CONFLICT (business)"
        " DO UPDATE SET last = reference_numbers.last + 1 RETURNING last",
        (f"errands of {wish.business}", _FIRST_NUMBER),
    ).fetchone()
    assert number is not None
    added = connection.execute(
        "INSERT INTO errands (id, business, kind, number, details, call_id, idempotency_key,"
        " created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
        (
            f"E-{number['last']}",
            wish.business,
            wish.kind,
            wish.number,
            json.dumps(wish.details),
            wish.call_id,
            wish.key,
            to_text(now),
            to_text(now),
        ),
    ).fetchone()
    assert added is not None
    return _errand(added)


async def find(store: Store, business: str, errand_id: str) -> Errand | None:
    """Return an errand of this business; None when it has no such."""
    return await store.read(
        lambda connection: next(
            (
                _errand(row)
                for row in connection.execute(
                    "SELECT * FROM errands WHERE business = ? AND id = ?", (business, errand_id)
                )
            ),
            None,
        )
    )


async def open_errands(store: Store, business: str) -> list[Errand]:
    """Return what is still to be done for this business, the one that was added first first."""
    return await store.read(
        lambda connection: [
            _errand(row)
            for row in connection.execute(
                "SELECT * FROM errands WHERE business = ? AND state = ? ORDER BY created_at, id",
                (business, OPEN),
            )
        ]
    )


async def settle(
    store: Store, errand: Errand, *, state: str, result: dict[str, JsonValue], now: datetime
) -> None:
    """Note what came of an errand; what was noted before gives way."""
    await store.write(
        lambda connection: connection.execute(
            "UPDATE errands SET state = ?, result = ?, updated_at = ?"
            " WHERE business = ? AND id = ?",
            (state, json.dumps(result), to_text(now), errand.business, errand.id),
        )
    )


def _errand(row: Row) -> Errand:
    result = row["result"]
    return Errand(
        id=row["id"],
        business=row["business"],
        kind=row["kind"],
        state=row["state"],
        number=row["number"],
        details=json.loads(row["details"]),
        result=None if result is None else json.loads(result),
        call_id=row["call_id"],
    )
