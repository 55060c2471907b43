"""Names and phone numbers as callers give them."""

from __future__ import annotations

import unicodedata

import phonenumbers

from thirdring.calls import PhoneNumber, e164
from thirdring.errors import ToolRefused
from thirdring.state import CallState

__all__ = ["name_given", "number_given"]

LONGEST_NAME = 100


def name_given(text: str, *, what: str = "name") -> str:
    """Return a name without what cannot be said.

    Raises:
        ToolRefused: Nothing is left of it, or it is longer than any name.
    """
    printable = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    name = " ".join(printable.split())
    if not any(character.isalpha() for character in name):
        raise ToolRefused(f"The {what} is missing. Ask the caller for it.")
    if len(name) > LONGEST_NAME:
        raise ToolRefused(f"The {what} is too long. Ask the caller for a shorter one.")
    return name


def number_given(text: str, state: CallState) -> PhoneNumber:
    """Return a number in E.164; without its country's code it is one of the line's country.

    Raises:
        ToolRefused: It is no whole number.
    """
    home = phonenumbers.parse(state.line.number)
    try:
        number = phonenumbers.parse(text, phonenumbers.region_code_for_number(home))
    except phonenumbers.NumberParseException:
        number = phonenumbers.PhoneNumber()
    full = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or e164(full) is None:
        raise ToolRefused(
            "That phone number is not complete. Ask the caller to say it again, digit by digit."
        )
    return full
