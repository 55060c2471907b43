"""Which day a caller means."""

from __future__ import annotations

import calendar
import re
from contextlib import suppress
from datetime import date, timedelta

from thirdring.errors import ToolRefused
from thirdring.settings import Weekday
from tools.spoken import spoken_day

__all__ = ["HORIZON_DAYS", "day_in", "day_meant"]

HORIZON_DAYS = 365

_MONTHS = [name.lower() for name in calendar.month_name[1:]]
_MONTH = "|".join(_MONTHS)
_DATED = re.compile(
    rf"\b(?:(?P<iso>\d{{4}}-\d{{2}}-\d{{2}}|\d{{8}})"
    rf"|(?P<month>{_MONTH}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?"
    rf"|(?:the )?(?P<first_day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<then_month>{_MONTH}))"
    r"\b(?:,? (?P<year>\d{4})\b)?",
    re.ASCII,
)
_NAMED = re.compile(
    r"\b(?P<next>next )?(?P<name>(?:the )?day after tomorrow|tomorrow|today|tonight"
    rf"|{'|'.join(Weekday)})\b",
    re.ASCII,
)
# What may stand beside a day: a time, or words that change nothing. Anything else was not meant as
# a day, however much of it looks like one.
_BESIDE = re.compile(
    r"\d{1,2}(?:[:.]\d{2})?(?:[ap]m)?|[ap]m|on|at|for|the|this|in|of|around|about|by|coming|please"
    r"|half|quarter|past|after|to|noon|midday|midnight|o'clock|oh|morning|afternoon|evening|night"
    r"|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|twenty-five"
    r"|thirty|forty|forty-five|fifty",
    re.ASCII,
)


def day_meant(text: str, today: date) -> date:
    """Return the day that `text` means; without a year it is the next one, today included.

    Raises:
        ToolRefused: It means no day, one in the past, or one too far ahead.
    """
    wanted, beside = day_in(text, today)
    said = f"Today is {spoken_day(today)} ({today.isoformat()})."
    words = re.sub(r"\b([ap])\.m\b\.?", r"\1m", beside).replace(",", " ").split()
    if wanted is None or not all(_BESIDE.fullmatch(word) for word in words):
        raise ToolRefused(
            "The day must be an ISO date, a month and day, a weekday, today or tomorrow. "
            f"{said} Ask the caller which day they want."
        )
    if wanted < today:
        raise ToolRefused(f"{spoken_day(wanted)}, {wanted.year} is in the past. {said}")
    if wanted > today + timedelta(days=HORIZON_DAYS):
        raise ToolRefused(f"That is more than a year ahead, too far to book. {said}")
    return wanted


def day_in(text: str, today: date) -> tuple[date | None, str]:
    """Return the day that a text names, if any, and the rest of the text in lower case."""
    words = " ".join(text.lower().split())
    dated, named = _DATED.search(words), _NAMED.search(words)
    # Of "Tuesday, November 24" the date counts.
    wanted = _dated(dated, today) if dated else _named(named, today) if named else None
    for found in (dated, named):
        if found:
            words = words.replace(found[0], " ", 1)
    return wanted, " ".join(words.split())


def _named(match: re.Match[str], today: date) -> date:
    name = match["name"]
    if name.endswith("after tomorrow"):
        return today + timedelta(days=2)
    if name in ("today", "tonight", "tomorrow"):
        return today + timedelta(days=name == "tomorrow")
    # "Next Saturday", said on a Saturday, is not today.
    wait = (list(Weekday).index(Weekday(name)) - today.weekday()) % 7
    return today + timedelta(days=wait or (7 if match["next"] else 0))


def _dated(match: re.Match[str], today: date) -> date | None:
    if match["iso"]:
        with suppress(ValueError):
            return date.fromisoformat(match["iso"])
        return None
    month = _MONTHS.index(match["month"] or match["then_month"]) + 1
    day = int(match["day"] or match["first_day"])
    years = [int(match["year"])] if match["year"] else [today.year, today.year + 1]
    for year in years:
        # February 29 is no date in most years.
        with suppress(ValueError):
            wanted = date(year, month, day)
            if match["year"] or wanted >= today:
                return wanted
    return None
