"""When a business is open on a day: its holidays first, then the hours of the weekday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from thirdring.settings import Business, Holiday, OpeningHours, Weekday

__all__ = ["holiday_on", "holidays_between", "hours_on"]


def hours_on(business: Business, day: date) -> tuple[OpeningHours, ...]:
    """Return the spans in which it is open, in order; none on a day when it is closed.

    Args:
        day: In the business's own time zone.
    """
    holiday = holiday_on(business, day)
    if holiday is not None:
        return holiday.hours
    return business.hours.get(list(Weekday)[day.weekday()], ())


def holiday_on(business: Business, day: date) -> Holiday | None:
    """Return what the day is, when its hours are not those of its weekday."""
    return next((holiday for holiday in business.holidays if holiday.day == day), None)


def holidays_between(business: Business, first: date, last: date) -> Iterator[Holiday]:
    """Yield the holidays from `first` to `last`, both included, in order."""
    found = (holiday for holiday in business.holidays if first <= holiday.day <= last)
    yield from sorted(found, key=lambda holiday: holiday.day)
