"""Which arguments of a tool that others have made must be read back before it does anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final

import phonenumbers
from livekit.agents import RunContext
from pydantic import JsonValue

from thirdring.state import CallState
from tools.confirming import Critical, Email, Moment, Name, Phone, Words, require_confirmed
from tools.read_back import spoken
from tools.spoken import spoken_day

__all__ = ["confirmed", "critical"]

_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")
_PHONE: Final = re.compile(r"\+?[\d\s().-]{7,25}", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT: Final = re.compile(rf"{_DAY.pattern}[T ]\d{{2}}:\d{{2}}.*", re.ASCII)
_NAME: Final = re.compile(r"\b(sur)?name$")
_LONGEST: Final = 60
"""Nobody has to repeat what is longer word for word."""


async def confirmed(ctx: RunContext[CallState], arguments: Mapping[str, JsonValue]) -> None:
    """Return when the caller has agreed to these arguments.

    Raises:
        ToolRefused: They have not yet; says what to read back.
    """
    state = ctx.userdata
    given = list(_leaves("", arguments))
    found = [critical(state, name, value) for name, value in given]
    said = [
        f"{name} {value if one is None else spoken(one, home=state.line.number)}".strip()
        for (name, value), one in zip(given, found, strict=True)
    ]
    what = ctx.function_call.name.replace("_", " ")
    read_back = f"{what}: {', '.join(said)}" if said else what
    # Sent again with the same arguments, it is not done again: see `tools.elsewhere`.
    effect = json.dumps(arguments, sort_keys=True)
    spoken_ones = (one for one in found if one is not None)
    await require_confirmed(ctx, read_back, *spoken_ones, effect=effect)


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    """Yield every value inside of a value, with the words of its name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{name} {key}".replace("_", " ").strip(), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(name, inner)
    elif value is not None:
        yield name, value


def critical(state: CallState, name: str, value: object) -> Critical | None:
    """Return what must not be misheard of an argument; None for a long text, yes and no."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    if _EMAIL.fullmatch(text):
        return Email(text)
    if (at := _moment(state, text)) is not None:
        return at
    if _PHONE.fullmatch(text) and (number := _number(state, text)) is not None:
        return Phone(number)
    if len(text) > _LONGEST or not any(map(str.isalnum, text)):
        return None
    return Name(text) if _NAME.search(name.lower()) else Words(text)


def _moment(state: CallState, text: str) -> Critical | None:
    try:
        if _DAY.fullmatch(text):
            return Words(spoken_day(date.fromisoformat(text)))
        if not _MOMENT.fullmatch(text):
            return None
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    zone = state.business.time_zone
    return Moment(at.astimezone(zone) if at.tzinfo else at.replace(tzinfo=zone))


def _number(state: CallState, text: str) -> str | None:
    """Return a number in E.164; without its country's code it is one of the line's country."""
    home = phonenumbers.region_code_for_number(phonenumbers.parse(state.line.number))
    try:
        number = phonenumbers.parse(text, home)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
