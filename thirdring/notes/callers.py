"""What is known of one caller: shown, forgotten for good, or allowed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from pydantic import JsonValue
from rich.console import Console

from thirdring.calls import PhoneNumber, e164
from thirdring.errors import WrongUse
from thirdring.printable import printable
from thirdring.records.documents import text_of
from thirdring.records.moments import when
from thirdring.records.screen import Column, show_found, show_table
from thirdring.store import Store
from thirdring.store.callbacks import CallbackBook, CallbackRequest
from thirdring.store.memory import CallerFact, CallerMemory, who_knows

__all__ = ["allow_caller", "forget_caller", "number_named", "show_caller"]

_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Known:
    """What one business knows of a caller."""

    business: str
    opted_out: bool
    facts: list[CallerFact]
    callbacks: list[CallbackRequest]


def number_named(text: str) -> PhoneNumber:
    """Return the number that somebody has typed.

    Raises:
        WrongUse: It is none.
    """
    number = e164(text.replace(" ", ""))
    if number is None:
        raise WrongUse(f"{printable(text[:40])} is no E.164 number such as +12025550199")
    return number


async def show_caller(
    store: Store, out: Console, number: PhoneNumber, business: str | None, *, as_json: bool
) -> bool:
    """Print what is known of a caller; return whether anybody knows them.

    Raises:
        StoreError: The store cannot be used.
    """
    names = [name for name in await who_knows(store, number) if business in (None, name)]
    found = [await _known(store, name, number) for name in names]
    return show_found(out, found, partial(_document, number), _table, as_json=as_json) > 0


async def forget_caller(
    store: Store, number: PhoneNumber, business: str | None, now: datetime
) -> dict[str, int]:
    """Delete what is known of a caller, for good; return how many facts each business had.

    Args:
        business: Only there, also when it does not know them yet; None for all that know them.

    Raises:
        StoreError: The store cannot be used.
    """
    names = await who_knows(store, number) if business is None else [business]
    return {
        name: await CallerMemory(store, name).forget(number, call_id="", now=now) for name in names
    }


async def allow_caller(store: Store, number: PhoneNumber, business: str) -> bool:
    """Let something be remembered of a caller again; return whether they had not wanted it.

    Raises:
        StoreError: The store cannot be used.
    """
    return await CallerMemory(store, business).allow(number)


async def _known(store: Store, business: str, number: PhoneNumber) -> _Known:
    memory = CallerMemory(store, business)
    return _Known(
        business,
        await memory.opted_out(number),
        await memory.recall(number, since=_EVER),
        await CallbackBook(store).of_number(business, number),
    )


def _table(out: Console, found: Sequence[_Known]) -> None:
    columns = [Column("business"), Column("UTC"), Column("known", folds=True), Column("call")]
    show_table(out, columns, (row for each in found for row in _rows(each)))


def _rows(known: _Known) -> list[list[str]]:
    rows = [[known.business, when(fact.noted_at), fact.fact, fact.call_id] for fact in known.facts]
    rows += [
        [known.business, when(each.asked_at), f"Wants a call back: {each.wanted}", each.call_id]
        for each in known.callbacks
    ]
    if known.opted_out:
        rows.append([known.business, "-", "Wants nothing to be remembered", "-"])
    return rows or [[known.business, "-", "Has called; nothing more is known", "-"]]


def _document(number: PhoneNumber, known: _Known) -> JsonValue:
    return {
        "number": number,
        "business": known.business,
        "opted_out": known.opted_out,
        "facts": [
            {
                "fact": fact.fact,
                "of_call": fact.of_call,
                "call_id": fact.call_id,
                "noted_at": text_of(fact.noted_at),
            }
            for fact in known.facts
        ],
        "callbacks": [
            {
                "wanted": each.wanted,
                "wanted_at": text_of(each.wanted_at),
                "name": each.name,
                "reason": each.reason,
                "call_id": each.call_id,
                "asked_at": text_of(each.asked_at),
            }
            for each in known.callbacks
        ],
    }
