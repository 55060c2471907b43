"""Days and times as a receptionist says them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from itertools import groupby

from thirdring.settings import Business, Holiday, OpeningHours, Weekday

__all__ = [
    "listed",
    "spoken_day",
    "spoken_holiday",
    "spoken_hours",
    "spoken_moment",
    "spoken_span",
    "spoken_time",
]


def spoken_time(moment: time | datetime) -> str:
    """Return `9 AM`, `9:30 AM` or `12 PM`."""
    hour = moment.hour % 12 or 12
    minutes = f":{moment.minute:02d}" if moment.minute else ""
    return f"{hour}{minutes} {'AM' if moment.hour < 12 else 'PM'}"


def spoken_day(day: date) -> str:
    """Return `Tuesday, November 24`."""
    return f"{day:%A, %B} {day.day}"


def spoken_moment(moment: datetime) -> str:
    """Return `Tuesday, November 24 at 9 AM`."""
    return f"{spoken_day(moment.date())} at {spoken_time(moment)}"


def listed(items: Sequence[str]) -> str:
    """Return `a`, `a and b` or `a, b and c`."""
    return " and ".join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def spoken_hours(business: Business) -> str:
    """Return the week in one sentence; days in a row with the same hours are said together."""
    week = [(day, business.hours.get(day, ())) for day in Weekday]
    opened, closed = [], []
    for spans, group in groupby(week, key=lambda item: item[1]):
        days = [str(day).capitalize() for day, _ in group]
        if spans:
            opened.append(f"{_days(days)} {listed([_span(span) for span in spans])}")
        else:
            closed.append(days)
    if not opened:
        return "Closed all week."
    if not closed:
        return f"{'; '.join(opened)}."
    return f"{'; '.join(opened)}; closed on {listed([_days(days) for days in closed])}."


def spoken_holiday(holiday: Holiday) -> str:
    """Return `Closed on Thursday, November 26 (Thanksgiving).`, or its hours."""
    name = f" ({holiday.name})" if holiday.name else ""
    if not holiday.hours:
        return f"Closed on {spoken_day(holiday.day)}{name}."
    spans = listed([spoken_span(span.opens, span.closes) for span in holiday.hours])
    return f"On {spoken_day(holiday.day)}{name} {spans}."


def spoken_span(first: time | datetime, last: time | datetime) -> str:
    """Return `9 AM to 5 PM`."""
    return f"{spoken_time(first)} to {spoken_time(last)}"


def _days(days: list[str]) -> str:
    return f"{days[0]} to {days[-1]}" if len(days) > 2 else listed(days)


def _span(span: OpeningHours) -> str:
    return spoken_span(span.opens, span.closes)
