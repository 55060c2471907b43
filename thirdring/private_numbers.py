"""Numbers that nobody may keep: of payment cards, their codes, of social security."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["holds_private_number"]

_DIGITS: Final = {
    word: str(digit)
    for digit, words in enumerate(
        ["zero oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    )
    for word in words.split()
}
_WORD: Final = re.compile(rf"\b({'|'.join(_DIGITS)})\b", re.IGNORECASE)
_RUN: Final = re.compile(r"\d(?:[ .,/_-]{0,3}\d){12,}")
_SOCIAL_SECURITY: Final = re.compile(r"(?<!\d)\d{3}[ .-]\d{2}[ .-]\d{4}(?!\d)")
_NAMED: Final = re.compile(
    r"\b(?:cvv2?|cvc2?|security code|social security(?: number)?|ssn|card number|pin(?: code)?)\b"
    r"\D{0,20}\d(?:[ .-]?\d){2,}",
    re.IGNORECASE,
)
_SHORTEST_CARD, _LONGEST_CARD = 13, 19


def holds_private_number(text: str) -> bool:
    """Return whether there is such a number in `text`, in digits or spelled out one by one."""
    digits = _WORD.sub(lambda match: _DIGITS[match[1].lower()], text)
    if _SOCIAL_SECURITY.search(digits) or _NAMED.search(digits):
        return True
    return any(_holds_card(re.sub(r"\D", "", run)) for run in _RUN.findall(digits))


def _holds_card(digits: str) -> bool:
    """Return whether any part of a run of digits can be the number of a card (ISO/IEC 7812)."""
    return any(
        _sums_up(digits[start : start + length])
        for length in range(_SHORTEST_CARD, min(_LONGEST_CARD, len(digits)) + 1)
        for start in range(len(digits) - length + 1)
    )


def _sums_up(digits: str) -> bool:
    if digits[0] == "0":
        return False
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    kept = (int(digit) for digit in digits[-1::-2])
    return (sum(kept) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0
