from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import business
from thirdring.errors import ToolRefused
from thirdring.settings import OpeningHours
from tools.days import day_meant
from tools.spoken import spoken_moment, spoken_time
from tools.times import moment_meant, moment_on, time_meant

OFFICE = (OpeningHours(opens=time(9), closes=time(17)),)
LONG_DAY = (OpeningHours(opens=time(7), closes=time(22)),)
NOW = datetime(2026, 11, 20, 17, 10, tzinfo=UTC)
"""A Friday, ten past noon in New York."""


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("two", time(14)),
        ("at two", time(14)),
        ("two o'clock", time(14)),
        ("nine", time(9)),
        ("9:30", time(9, 30)),
        ("two thirty", time(14, 30)),
        ("2 30", time(14, 30)),
        ("half past two", time(14, 30)),
        ("quarter to three", time(14, 45)),
        ("quarter to one", time(12, 45)),
        ("ten past eleven", time(11, 10)),
        ("twenty five to four", time(15, 35)),
        ("2 pm", time(14)),
        ("2 p.m.", time(14)),
        ("2PM", time(14)),
        ("12 pm", time(12)),
        ("12 am", time(0)),
        ("noon", time(12)),
        ("midnight", time(0)),
        ("14:00", time(14)),
        ("14.30", time(14, 30)),
        ("08:00", time(8)),
        ("seven in the evening", time(19)),
        ("eight in the morning", time(8)),
        ("three in the afternoon please", time(15)),
        ("two oh five", time(14, 5)),
        ("nine tonight", time(21)),
        ("twelve at night", time(0)),
        ("half past one at night", time(1, 30)),
    ],
)
def test_a_time_is_understood(said: str, meant: time) -> None:
    """In words and figures; an hour without its half of the day is the one of opening hours."""
    assert time_meant(said, OFFICE) == meant


@pytest.mark.parametrize(
    ("said", "hours", "question"),
    [
        ("nine", LONG_DAY, "That can be 9 AM or 9 PM. Ask the caller which of both they mean."),
        ("seven", OFFICE, "That can be 7 AM or 7 PM. Ask the caller which of both they mean."),
        ("two", (), "That can be 2 AM or 2 PM. Ask the caller which of both they mean."),
    ],
)
def test_an_ambiguous_time_is_a_question(
    said: str, hours: tuple[OpeningHours, ...], question: str
) -> None:
    """When both halves of the day fit, or none, nobody guesses."""
    with pytest.raises(ToolRefused) as refused:
        time_meant(said, hours)
    assert str(refused.value) == question


@pytest.mark.parametrize(
    "said",
    ["", "soon", "25:00", "14 pm", "9:75", "thirteen", "2 pm; DROP TABLE", "1e400", "-2", "0 am"],
)
def test_what_is_no_time_is_refused(said: str) -> None:
    """The model is told to ask."""
    with pytest.raises(ToolRefused, match=r"is no time of day\. Ask"):
        time_meant(said, OFFICE)


@given(st.times().map(lambda at: at.replace(second=0, microsecond=0, tzinfo=None)))
def test_what_we_say_ourselves_is_understood(at: time) -> None:
    """Every time of day survives being spoken."""
    assert time_meant(spoken_time(at), ()) == at


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("tomorrow at 2 pm", "2026-11-21 14:00"),
        ("Monday at two", "2026-11-23 14:00"),
        ("two on Monday", "2026-11-23 14:00"),
        ("next Friday at noon", "2026-11-27 12:00"),
        ("the day after tomorrow at 10 am", "2026-11-22 10:00"),
        ("November 24 at half past nine", "2026-11-24 09:30"),
        ("the 24th of November, 9 AM", "2026-11-24 09:00"),
        ("2026-11-24 16:00", "2026-11-24 16:00"),
        ("at three", "2026-11-20 15:00"),
        ("tonight at eight", "2026-11-20 20:00"),
        ("Tuesday morning at nine", "2026-11-24 09:00"),
        ("in two hours", "2026-11-20 14:10"),
        ("in half an hour", "2026-11-20 12:40"),
    ],
)
def test_a_moment_is_understood(said: str, meant: str) -> None:
    """A day and a time in either order, in the business's time zone."""
    moment = moment_meant(said, NOW, business())
    assert (f"{moment:%Y-%m-%d %H:%M}", moment.tzinfo) == (meant, business().time_zone)


@given(st.integers(1, 60 * 24 * 360).map(lambda minutes: NOW + timedelta(minutes=minutes)))
def test_a_moment_that_we_say_ourselves_is_understood(moment: datetime) -> None:
    """Every minute of the year ahead survives being spoken, but for the hour that comes twice."""
    here = moment.astimezone(business().time_zone)
    if not here.fold:
        assert moment_meant(spoken_moment(here), NOW, business()) == here


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("today at 9 am", "has passed"),
        ("tomorrow at two", "can be 2 AM or 2 PM"),
        ("tomorrow", "no time of day"),
        ("Monday at two; DROP TABLE", "must be an ISO date"),
        ("2026-11-19 at 9 am", "in the past"),
    ],
)
def test_a_moment_that_cannot_be_is_refused(said: str, why: str) -> None:
    """Closed on Saturday, "two" could be either; what has passed is not booked."""
    with pytest.raises(ToolRefused, match=why):
        moment_meant(said, NOW, business())


def test_an_hour_that_the_clocks_skip_is_refused() -> None:
    """Half past two does not exist on the day the clocks go forward."""
    with pytest.raises(ToolRefused, match="the clocks change"):
        moment_on(date(2027, 3, 14), time(2, 30), business())


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("tomorrow at two", date(2026, 11, 21)),
        ("Monday afternoon", date(2026, 11, 23)),
        ("24 November", date(2026, 11, 24)),
        ("the day after tomorrow", date(2026, 11, 22)),
    ],
)
def test_a_day_may_come_with_its_time(said: str, day: date) -> None:
    """The time beside it does not hide the day."""
    assert day_meant(said, NOW.date()) == day
