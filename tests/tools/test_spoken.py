from __future__ import annotations

from datetime import date, datetime, time

import pytest

from tests.samples import business
from thirdring.settings import OpeningHours, Weekday
from tools.spoken import listed, spoken_day, spoken_hours, spoken_moment, spoken_time

MORNING = OpeningHours(opens=time(9), closes=time(12))
AFTERNOON = OpeningHours(opens=time(13, 30), closes=time(17))


@pytest.mark.parametrize(
    ("moment", "spoken"),
    [
        (time(0), "12 AM"),
        (time(9), "9 AM"),
        (time(9, 5), "9:05 AM"),
        (time(12), "12 PM"),
        (time(16, 30), "4:30 PM"),
    ],
)
def test_times_are_said_on_the_twelve_hour_clock(moment: time, spoken: str) -> None:
    """Minutes are said only when there are any."""
    assert spoken_time(moment) == spoken


def test_days_are_said_without_the_year() -> None:
    """A caller hears weekday, month and day."""
    assert spoken_day(date(2026, 11, 4)) == "Wednesday, November 4"
    moment = datetime(2026, 11, 4, 9)  # noqa: DTZ001 - local time, as it is said
    assert spoken_moment(moment) == "Wednesday, November 4 at 9 AM"


def test_lists_end_with_and() -> None:
    """As one says them."""
    assert [listed("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("hours", "sentence"),
    [
        (business().hours, "Monday to Friday 9 AM to 5 PM; closed on Saturday and Sunday."),
        ({}, "Closed all week."),
        (dict.fromkeys(Weekday, (MORNING,)), "Monday to Sunday 9 AM to 12 PM."),
        (
            {Weekday.MONDAY: (MORNING, AFTERNOON), Weekday.WEDNESDAY: (MORNING,)},
            "Monday 9 AM to 12 PM and 1:30 PM to 5 PM; Wednesday 9 AM to 12 PM; "
            "closed on Tuesday and Thursday to Sunday.",
        ),
    ],
)
def test_a_week_is_one_sentence(
    hours: dict[Weekday, tuple[OpeningHours, ...]], sentence: str
) -> None:
    """Days in a row with the same hours are said together."""
    assert spoken_hours(business().model_copy(update={"hours": hours})) == sentence
