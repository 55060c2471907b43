"""What is known of callers from earlier calls, unless they want nothing to be known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = ["CallerFact", "CallerMemory", "note_facts", "who_knows"]

MOST_FACTS = 20
"""Of what one caller has said; the oldest make room."""

MOST_CALLS = 5
"""Of what the calls of one caller have come to; the sweep deletes what is older."""


@dataclass(frozen=True)
class CallerFact:
    """One thing about a caller.

    Attributes:
        call_id: The call that it is from.
        of_call: It is what that call came to, not what they said.
    """

    business: str
    number: str
    fact: str
    call_id: str
    noted_at: datetime
    of_call: bool = False


def note_facts(connection: Connection, facts: Iterable[CallerFact]) -> int:
    """Note facts as part of a transaction; return how many of them are kept now.

    A fact that is known counts as new again. Of callers who have opted out nothing is kept.
    """
    ordered = sorted(facts, key=lambda each: (each.business, each.number, each.noted_at))
    callers = sorted({(each.business, each.number) for each in ordered})
    if not callers:
        return 0
    # In one order: two who note the same ones wait for each other in turn, not in a circle.
    for business in sorted({business for business, _ in callers}):
        _lock(connection, business)
    silent = _opted_out(connection, callers)
    kept = [each for each in ordered if (each.business, each.number) not in silent]
    for fact in kept:
        if not fact.of_call:
            _make_room(connection, fact)
            _insert(connection, [fact])
    _insert(connection, [each for each in kept if each.of_call])
    return len(kept)


def _opted_out(connection: Connection, callers: list[tuple[str, str]]) -> set[tuple[str, str]]:
    rows = connection.execute(
        "SELECT business, number FROM caller_opt_outs"  # noqa: S608 - as many `?` as values
        f" WHERE (business, number) IN (VALUES {', '.join(['(?, ?)'] * len(callers))})",
        [value for caller in callers for value in caller],
    )
    return {(row["business"], row["number"]) for row in rows}


def _make_room(connection: Connection, fact: CallerFact) -> None:
    """Delete other wordings of what a caller has said, and the oldest when it is too much."""
    caller = (fact.business, fact.number)
    said = [row["fact"] for row in _rows(connection, *caller) if not row["of_call"]]
    same = [text for text in said if _key(text) == _key(fact.fact)]
    others = [text for text in said if text not in same]
    gone = [*same, *others[: max(0, len(others) - MOST_FACTS + 1)]]
    connection.executemany(
        "DELETE FROM caller_facts WHERE business = ? AND number = ? AND fact = ?",
        [(*caller, text) for text in gone],
    )


def _insert(connection: Connection, facts: list[CallerFact]) -> None:
    connection.executemany(
        "INSERT INTO caller_facts (business, number, fact, of_call, call_id, noted_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (business, number, fact) DO UPDATE SET"
        " of_call = excluded.of_call, call_id = excluded.call_id, noted_at = excluded.noted_at",
        [
            (
                fact.business,
                fact.number,
                fact.fact,
                int(fact.of_call),
                fact.call_id,
                to_text(fact.noted_at),
            )
            for fact in facts
        ],
    )


class CallerMemory:
    """What one business knows of its callers."""

    def __init__(self, store: Store, business: str) -> None:
        self._store = store
        self._business = business

    async def recall(self, number: str, *, since: datetime) -> list[CallerFact]:
        """Return what is known of a caller and not older than `since`, the oldest first."""
        rows = await self._store.read(lambda connection: _rows(connection, self._business, number))
        facts = [_fact(row) for row in rows if row["noted_at"] >= to_text(since)]
        calls = [fact for fact in facts if fact.of_call]
        return [fact for fact in facts if fact not in calls[:-MOST_CALLS]]

    async def forget(self, number: str, *, call_id: str, now: datetime) -> int:
        """Delete what is known of a caller and keep nothing from now on; return how much it was.

        Args:
            call_id: The call in which they wanted it so; empty when an operator does.
        """

        def work(connection: Connection) -> int:
            caller = (self._business, number)
            _lock(connection, self._business)
            connection.execute(
                "INSERT INTO caller_opt_outs (business, number, call_id, opted_out_at)"
                " VALUES (?, ?, ?, ?) ON CONFLICT (business, number) DO NOTHING",
                (*caller, call_id, to_text(now)),
            )
            return connection.execute(
                "DELETE FROM caller_facts WHERE business = ? AND number = ?", caller
            ).rowcount

        return await self._store.write(work)

    async def allow(self, number: str) -> bool:
        """Let something be kept of a caller again; return whether they had opted out."""
        return await self._store.write(
            lambda connection: (
                connection.execute(
                    "DELETE FROM caller_opt_outs WHERE business = ? AND number = ?",
                    (self._business, number),
                ).rowcount
                > 0
            )
        )

    async def opted_out(self, number: str) -> bool:
        """Return whether a caller wants nothing to be kept."""
        return await self._store.read(
            lambda connection: _has_opted_out(connection, self._business, number)
        )

    async def sweep(self, now: datetime, retention: timedelta) -> int:
        """Delete what is older than it may be, or nobody reads; return how much it was."""

        def work(connection: Connection) -> int:
            old = connection.execute(
                "DELETE FROM caller_facts WHERE business = ? AND noted_at < ?",
                (self._business, to_text(now - retention)),
            )
            unread = connection.execute(
                "DELETE FROM caller_facts WHERE business = ? AND of_call = 1 AND ? <="
                " (SELECT count(*) FROM caller_facts AS newer WHERE newer.of_call = 1"
                " AND newer.business = caller_facts.business"
                " AND newer.number = caller_facts.number"
                " AND newer.noted_at > caller_facts.noted_at)",
                (self._business, MOST_CALLS),
            )
            return old.rowcount + unread.rowcount

        return await self._store.write(work)


async def who_knows(store: Store, number: str) -> list[str]:
    """Return the businesses that a caller has called or opted out of, or that remember them."""
    return await store.read(
        lambda connection: [
            row["business"]
            for row in connection.execute(
                "SELECT business FROM callers WHERE number = ?"
                " UNION SELECT business FROM caller_facts WHERE number = ?"
                " UNION SELECT business FROM caller_opt_outs WHERE number = ? ORDER BY business",
                (number, number, number),
            )
        ]
    )


def _lock(connection: Connection, business: str) -> None:
    # Of all its callers at once: a courier notes those of a hundred calls in one transaction.
    connection.lock(f"caller memory of {business}")


def _has_opted_out(connection: Connection, business: str, number: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM caller_opt_outs WHERE business = ? AND number = ?", (business, number)
    ).fetchone()
    return row is not None


def _rows(connection: Connection, business: str, number: str) -> list[Row]:
    """Return the facts of a caller, the oldest first."""
    return connection.execute(
        "SELECT * FROM caller_facts WHERE business = ? AND number = ? ORDER BY noted_at, fact",
        (business, number),
    ).fetchall()


def _key(text: str) -> str:
    """Return what two wordings of one fact share."""
    return " ".join(text.casefold().split()).rstrip(".!")


def _fact(row: Row) -> CallerFact:
    return CallerFact(
        business=row["business"],
        number=row["number"],
        fact=row["fact"],
        call_id=row["call_id"],
        noted_at=from_text(row["noted_at"]),
        of_call=bool(row["of_call"]),
    )
