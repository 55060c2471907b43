"""Which arguments of a tool that others have made must be read back before it does anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Final

import phonenumbers
from livekit.agents import RunContext

from thirdring.state import CallState
from tools.confirming import Critical, Email, Moment, Name, Phone, Words, require_confirmed
from tools.spoken import spoken_day

__all__ = ["confirmed", "critical"]

_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]+")
_PHONE: Final = re.compile(r"\+?[\d\s().-]{7,25}", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT: Final = re.compile(rf"{_DAY.pattern}[T ]\d{{2}}:\d{{2}}.*", re.ASCII)
_NAME: Final = re.compile(r"(.+_)?(name|surname)")


async def confirmed(ctx: RunContext[CallState], arguments: Mapping[str, object]) -> None:
    """Return when the caller has agreed to these arguments.

    Raises:
        ToolRefused: They have not yet; says what to read back.
    """
    values = list(critical(ctx.userdata, arguments))
    what = ctx.function_call.name.replace("_", " ")
    others = [f"{name.replace('_', ' ')} {value}" for name, value in arguments.items()]
    await require_confirmed(ctx, ", ".join([what, *others]), *values)


def critical(state: CallState, arguments: Mapping[str, object]) -> Iterator[Critical]:
    """Yield what must not be misheard: numbers of phones, addresses of mail, days, names."""
    for name, value in arguments.items():
        if isinstance(value, str) and (found := _critical(state, name, value.strip())) is not None:
            yield found


def _critical(state: CallState, name: str, text: str) -> Critical | None:
    if _EMAIL.fullmatch(text):
        return Email(text)
    if (at := _moment(state, text)) is not None:
        return at
    if _PHONE.fullmatch(text) and (number := _number(state, text)) is not None:
        return Phone(number)
    return Name(text) if text and _NAME.fullmatch(name) else None


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
