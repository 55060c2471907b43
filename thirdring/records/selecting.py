"""Which calls a command means: what was typed, understood or refused in one line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from thirdring.calls import EndReason
from thirdring.errors import PhoneError, WrongUse
from thirdring.home import Home
from thirdring.journal import file_name
from thirdring.printable import printable
from thirdring.records.moments import when
from thirdring.store import Store
from thirdring.store.history import Call, Selection, matches, names

__all__ = ["duration", "moment", "selection", "sink_named", "the_call"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SINKS: Final = ("webhook", "file", "mongodb")
_LOOK_BACK: Final = 5_000


def selection(
    now: datetime,
    *,
    business: str | None = None,
    since: str | None = None,
    until: str | None = None,
    ending: str | None = None,
    caller: str | None = None,
    limit: int | None = None,
) -> Selection:
    """Return what the options of a command say.

    Raises:
        WrongUse: One of them makes no sense.
    """
    return Selection(
        None if business is None else business.encode(errors="replace").decode(),
        None if since is None else moment("--since", since, now),
        None if until is None else moment("--until", until, now),
        None if ending is None else _reason(ending),
        None if caller is None else _digits(caller),
        limit,
    )


def moment(option: str, text: str, now: datetime) -> datetime:
    """Return the time that `text` says: a date, a date and time (UTC by default), or how long ago.

    Raises:
        WrongUse: It says none.
    """
    try:
        if (ago := _ago(text)) is not None:
            return now - ago
        at = datetime.fromisoformat(text.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongUse(
            f"{option} is {printable(text[:40])}; expected a date such as 2026-11-20, a time in UTC"
            " such as 2026-11-20T15:30, or how long ago, such as 90m, 12h or 7d"
        ) from None


def sink_named(text: str | None) -> str | None:
    """Return the sink of this name.

    Raises:
        WrongUse: There is none.
    """
    if text is not None and text not in _SINKS:
        raise WrongUse(f"--sink is {printable(text[:40])}; expected one of {', '.join(_SINKS)}")
    return text


def duration(option: str, text: str) -> timedelta:
    """Return how long `text` says, such as `90m`.

    Raises:
        WrongUse: It says nothing of the kind.
    """
    if (found := _ago(text)) is None:
        raise WrongUse(
            f"{option} is {printable(text[:40])}; expected how long, such as 90m, 12h or 7d"
        )
    return found


def _ago(text: str) -> timedelta | None:
    said = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip().lower(), re.ASCII)
    return timedelta(**{_UNITS[said[2]]: int(said[1])}) if said else None


async def the_call(store: Store, home: Home, text: str) -> Call:
    """Return the call that `text` names: a call id, a record id, or how one of them begins.

    Raises:
        PhoneError: There is none, or more than one.
        WrongUse: Nothing was named.
    """
    # What is no UTF-8 on the command line comes as half surrogate pairs, which no database takes.
    text = text.encode(errors="replace").decode().strip()
    if not text:
        raise WrongUse("no call was named; expected a call id, a record id, or its first letters")
    found = await matches(store, text)
    if len(found) == 1:
        return found[0]
    shown = printable(text[:80])
    if found:
        raise PhoneError("\n".join([f"{shown} is how more than one begins:", *map(_line, found)]))
    journal = home.journals / file_name(text)
    if journal.exists():
        raise PhoneError(
            f"{shown} has no record yet: its journal, {journal}, waits for the end of the call and"
            " for the courier"
        )
    near = _near(text, await names(store, _LOOK_BACK))
    hint = f"; near to it: {', '.join(near)}" if near else "; `records list` shows those there are"
    raise PhoneError(f"no call and no record is {shown}{hint}")


def _line(call: Call) -> str:
    caller = call.caller or "-"
    return f"  {call.record_id}  {when(call.opened_at)}  {caller}  {printable(call.call_id)}"


def _near(text: str, known: Sequence[tuple[str, str]]) -> list[str]:
    pairs = [name for pair in known for name in pair]
    return [printable(name) for name in difflib.get_close_matches(text, pairs, n=3, cutoff=0.7)]


def _reason(text: str) -> str:
    try:
        return EndReason(text)
    except ValueError:
        near = difflib.get_close_matches(text, list(EndReason), n=1)
        known = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(EndReason)}"
        raise WrongUse(f"--ending is {printable(text[:40])}; {known}") from None


def _digits(text: str) -> str:
    digits = re.sub(r"[\s().-]", "", text)
    if not re.fullmatch(r"\+?\d{2,15}", digits, re.ASCII):
        raise WrongUse(
            f"--caller is {printable(text[:40])}; expected a number such as +12025550199,"
            " or its last digits"
        )
    return digits
