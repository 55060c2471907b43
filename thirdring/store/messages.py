"""Messages that callers have left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid5

from thirdring.record import record_id
from thirdring.store.store import Connection, Row, Store, from_text, to_text

__all__ = ["Message", "MessageBook", "add_message"]


@dataclass(frozen=True)
class Message:
    """What somebody wants somebody to know.

    Attributes:
        key: Of the tool call that took it; the same key never takes two.
        for_whom: None for whoever reads messages.
    """

    business: str
    key: str
    body: str
    for_whom: str | None
    from_name: str | None
    from_number: str | None
    urgent: bool
    call_id: str
    taken_at: datetime


def add_message(connection: Connection, message: Message) -> str:
    """Keep a message as part of a transaction; return its id.

    Said twice in one call, it is one message.
    """
    known = connection.execute(
        "SELECT id FROM messages WHERE idempotency_key = ?"
        " OR call_id = ? AND body = ? AND coalesce(for_whom, '') = ?",
        (message.key, message.call_id, message.body, message.for_whom or ""),
    ).fetchone()
    if known is not None:
        return str(known["id"])
    identity = str(uuid5(record_id(message.call_id), f"message {message.key}"))
    connection.execute(
        "INSERT INTO messages (id, business, for_whom, from_name, from_number, body, urgent,"
        " call_id, idempotency_key, taken_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            identity,
            message.business,
            message.for_whom,
            message.from_name,
            message.from_number,
            message.body,
            int(message.urgent),
            message.call_id,
            message.key,
            to_text(message.taken_at),
        ),
    )
    return identity


class MessageBook:
    """The messages in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of_call(self, call_id: str) -> list[Message]:
        """Return the messages of one call, in the order in which they were taken."""
        return await self._store.read(
            lambda connection: [
                _message(row)
                for row in connection.execute(
                    "SELECT * FROM messages WHERE call_id = ? ORDER BY taken_at, id", (call_id,)
                )
            ]
        )

    async def newest(
        self, *, limit: int, business: str | None = None, since: datetime | None = None
    ) -> list[Message]:
        """Return messages, the newest first."""
        wanted = business or ""
        return await self._store.read(
            lambda connection: [
                _message(row)
                for row in connection.execute(
                    "SELECT * FROM messages WHERE (business = ? OR ? = '') AND taken_at >= ?"
                    " ORDER BY taken_at DESC, id LIMIT ?",
                    (wanted, wanted, "" if since is None else to_text(since), limit),
                )
            ]
        )


def _message(row: Row) -> Message:
    return Message(
        business=row["business"],
        key=row["idempotency_key"],
        body=row["body"],
        for_whom=row["for_whom"],
        from_name=row["from_name"],
        from_number=row["from_number"],
        urgent=bool(row["urgent"]),
        call_id=row["call_id"],
        taken_at=from_text(row["taken_at"]),
    )
