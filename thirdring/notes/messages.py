"""The messages that callers have left, on a screen or for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import JsonValue
from rich.console import Console

from thirdring.records.documents import text_of
from thirdring.records.moments import when
from thirdring.records.screen import Column, show_found, show_table
from thirdring.store import Store
from thirdring.store.messages import Message, MessageBook

__all__ = ["show_messages"]


async def show_messages(
    store: Store,
    out: Console,
    *,
    business: str | None,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> int:
    """Print messages, the newest first; return how many.

    Raises:
        StoreError: The store cannot be used.
    """
    found = await MessageBook(store).newest(limit=limit, business=business, since=since)
    return show_found(out, found, _document, _table, as_json=as_json)


def _table(out: Console, found: Sequence[Message]) -> None:
    columns = [
        Column("taken, UTC"),
        Column("business", folds=True),
        Column("for"),
        Column("from"),
        Column("number"),
        Column("message", folds=True),
    ]
    rows = [
        [
            when(message.taken_at),
            message.business,
            message.for_whom or "-",
            message.from_name or "-",
            message.from_number or "-",
            f"URGENT {message.body}" if message.urgent else message.body,
        ]
        for message in found
    ]
    show_table(out, columns, rows)


def _document(message: Message) -> JsonValue:
    return {
        "business": message.business,
        "call_id": message.call_id,
        "taken_at": text_of(message.taken_at),
        "for_whom": message.for_whom,
        "from_name": message.from_name,
        "from_number": message.from_number,
        "urgent": message.urgent,
        "message": message.body,
    }
