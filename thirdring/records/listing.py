"""Looking at calls: a list, one of them, and the records that nobody has got."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import JsonValue, ValidationError
from rich.console import Console

from thirdring.errors import PhoneError, WrongUse
from thirdring.home import Home
from thirdring.printable import printable
from thirdring.record import Record
from thirdring.records.documents import call_document, delivery_document
from thirdring.records.markdown import markdown
from thirdring.records.moments import clock, when
from thirdring.records.screen import WIDE, Column, json_text, show_found, show_table
from thirdring.records.selecting import the_call
from thirdring.records.transcript import show
from thirdring.records.webvtt import webvtt
from thirdring.store import Store
from thirdring.store.delivery import DeliveryState
from thirdring.store.history import Call, Selection, Undelivered, bodies, calls, undelivered

__all__ = ["Form", "form_of", "show_call", "show_calls", "show_undelivered"]

# The state that most needs somebody comes first.
_WORST = (
    DeliveryState.DEAD,
    DeliveryState.PARKED,
    DeliveryState.PENDING,
    DeliveryState.DISMISSED,
    DeliveryState.DELIVERED,
)
_SHORT = 7
"""So much of a record's id tells it from others, as good as always."""


class Form(StrEnum):
    """How a call is shown."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    WEBVTT = "webvtt"


def form_of(text: str) -> Form:
    """Return the form with this name.

    Raises:
        WrongUse: There is none.
    """
    try:
        return Form(text)
    except ValueError:
        known = ", ".join(Form)
        raise WrongUse(f"--format is {printable(text[:40])}; expected one of {known}") from None


_FORMS: Mapping[Form, Callable[[Record], str]] = {Form.MARKDOWN: markdown, Form.WEBVTT: webvtt}


async def show_calls(store: Store, out: Console, chosen: Selection, *, as_json: bool) -> int:
    """Print the calls that are meant, the newest first; return how many."""
    return show_found(out, await calls(store, chosen), call_document, _table, as_json=as_json)


def _table(out: Console, found: Sequence[Call]) -> None:
    columns = [
        Column("opened, UTC"),
        Column("business", folds=True),
        Column("caller"),
        Column("m:ss", right=True),
        Column("ending"),
        Column("delivery"),
        Column("record"),
    ]
    whole = out.width >= WIDE
    year = datetime.now(UTC).year
    show_table(
        out,
        [*columns, Column("call")] if whole else columns,
        (
            [
                when(call.opened_at) if whole else _briefly(call.opened_at, year),
                call.business or "-",
                call.caller or "-",
                clock((call.ended_at - call.opened_at).total_seconds()),
                call.reason,
                _worst(call),
                call.record_id[:_SHORT],
                *([call.call_id] if whole else []),
            ]
            for call in found
        ),
    )


def _briefly(moment: datetime, this_year: int) -> str:
    """Return a time with its hour or with its year, whichever says more, as `ls` does."""
    return f"{moment:%m-%d %H:%M}" if moment.year == this_year else f"{moment:%Y-%m-%d}"


def _worst(call: Call) -> str:
    states = {delivery.state for delivery in call.deliveries}
    return next((state for state in _WORST if state in states), "kept")


async def show_call(store: Store, home: Home, out: Console, text: str, form: Form) -> None:
    """Print one call; what strangers said in it is obeyed by no terminal, player or page.

    Raises:
        PhoneError: There is no such call, or its record is damaged.
    """
    call = await the_call(store, home, text)
    body = (await bodies(store, [call.call_id]))[call.call_id]
    try:
        record = Record.model_validate_json(body)
    except ValidationError as error:
        raise PhoneError(
            f"the record of call {printable(call.call_id)} cannot be read"
            f" ({error.error_count()} faults); `records verify` compares it with its journal"
        ) from None
    if form is Form.TEXT:
        show(out, record, call.deliveries)
    elif form is Form.JSON:
        out.file.write(f"{json_text(json.loads(body), indent=2)}\n")
    else:
        out.file.write(_FORMS[form](record))


async def show_undelivered(
    store: Store, out: Console, chosen: Selection, sink: str | None, *, as_json: bool
) -> int:
    """Print the records that nobody tries to deliver any more; return how many."""
    found = await undelivered(store, chosen, sink)
    return show_found(out, found, _undelivered_document, _undelivered_table, as_json=as_json)


def _undelivered_document(item: Undelivered) -> JsonValue:
    document = call_document(item.call)
    del document["deliveries"]
    return {**document, "delivery": delivery_document(item.delivery)}


def _undelivered_table(out: Console, found: Sequence[Undelivered]) -> None:
    columns = [
        Column("state"),
        Column("since (UTC)"),
        Column("business", folds=True),
        Column("sink"),
        Column("tries", right=True),
        Column("record"),
        Column("last error", folds=True),
    ]
    show_table(
        out,
        columns,
        (
            [
                item.delivery.state,
                f"{item.delivery.settled_at:%Y-%m-%d %H:%M}" if item.delivery.settled_at else "-",
                item.call.business or "-",
                item.delivery.sink,
                str(item.delivery.attempts),
                item.call.record_id[:_SHORT],
                item.delivery.error or "-",
            ]
            for item in found
        ),
    )
