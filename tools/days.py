"""Which day a caller means."""

from __future__ import annotations

import calendar
import re
from contextlib import suppress
from datetime import date, timedelta

from thirdring.errors import ToolRefused
from thirdring.settings import Weekday
from tools.spoken import spoken_day

__all__ = ["HORIZON_DAYS", "day_meant"]

HORIZON_DAYS = 365

_MONTHS = [name.lower() for name in calendar.month_name[1:]]
_MONTH_AND_DAY = re.compile(
    rf"\b(?P<month>{'|'.join(_MONTHS)})"
    r" (?P<day>\d{1,2})(?:[a-z]{2})?\b(?:,? (?P<year>\d{4})\b)?",
    re.ASCII,
)


def day_meant(text: str, today: date) -> date:
    """Return the day that `text` means; without a year it is the next one, today included.

    Raises:
        ToolRefused: It means no day, one in the past, or one too far ahead.
    """
    words = text.strip().lower()
    wanted = _dated(words, today) or _named(words, today)
    said = f"Today is {spoken_day(today)} ({today.isoformat()})."
    if wanted is None:
        raise ToolRefused(
            "The day must be an ISO date, a month and day, a weekday, today or tomorrow. "
            f"{said} Ask the caller which day they want."
        )
    if wanted < today:
        raise ToolRefused(f"{spoken_day(wanted)}, {wanted.year} is in the past. {said}")
    if wanted > today + timedelta(days=HORIZON_DAYS):
        raise ToolRefused(f"That is more than a year ahead, too far to book. {said}")
    return wanted


def _named(words: str, today: date) -> date | None:
    name = words.rsplit(maxsplit=1)[-1] if words else ""
    if name in ("today", "tomorrow"):
        return today + timedelta(days=name == "tomorrow")
    for weekday, known in enumerate(Weekday):
        if name == known:
            # "Next Saturday", said on a Saturday, is not today.
            wait = (weekday - today.weekday()) % 7
            return today + timedelta(days=wait or (7 if words.startswith("next ") else 0))
    return None


def _dated(words: str, today: date) -> date | None:
    with suppress(ValueError):
        return date.fromisoformat(words)
    match = _MONTH_AND_DAY.search(words)
    if match is None:
        return None
    month = _MONTHS.index(match["month"]) + 1
    years = [int(match["year"])] if match["year"] else [today.year, today.year + 1]
    for year in years:
        # February 29 is no date in most years.
        with suppress(ValueError):
            wanted = date(year, month, int(match["day"]))
            if match["year"] or wanted >= today:
                return wanted
    return None
