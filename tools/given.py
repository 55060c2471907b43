"""What callers say that is kept: as one line, and never with the number of a card in it."""

from __future__ import annotations

import unicodedata

from thirdring.errors import ToolRefused
from thirdring.private_numbers import holds_private_number
from thirdring.state import CallState
from tools import people
from tools.read_back import Critical, Name, Phone

__all__ = ["critical_of", "name_if_given", "number_of", "words_given"]


def words_given(text: str, what: str, *, longest: int) -> str:
    """Return words as one line.

    Args:
        what: What they are, for the model, as in `the message`.

    Raises:
        ToolRefused: There are none, too many, or the number of a card is among them.
    """
    visible = (c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    line = " ".join("".join(visible).split())
    if not any(character.isalnum() for character in line):
        raise ToolRefused(f"There are no words in {what}. Ask the caller.")
    if len(line) > longest:
        raise ToolRefused(f"At most {longest} characters for {what}: say it in fewer words.")
    if holds_private_number(line):
        raise ToolRefused(
            "Numbers of cards, their codes and social security numbers are never kept: leave them "
            f"out of {what}, and tell the caller so."
        )
    return line


def name_if_given(text: str, what: str = "name") -> str | None:
    """Return a name as one line; None for none.

    Raises:
        ToolRefused: It is no name.
    """
    if not text.strip():
        return None
    return people.name_given(words_given(text, f"the {what}", longest=2 * people.LONGEST_NAME))


def number_of(text: str, state: CallState) -> str | None:
    """Return a phone number; that of the call when none is given, None when it is hidden.

    Raises:
        ToolRefused: It is no whole number.
    """
    return people.number_given(text, state) if text.strip() else state.leg.caller


def critical_of(
    state: CallState, *, name: str | None = None, number: str | None = None
) -> list[Critical]:
    """Return what must not be misheard of somebody.

    The number that the call comes from was not heard, so it cannot have been misheard.
    """
    critical: list[Critical] = [Name(name)] if name else []
    return [*critical, Phone(number)] if number and number != state.leg.caller else critical
