"""Opening hours of a day, holidays before weekdays."""

from __future__ import annotations

from datetime import date, time

from tests.samples import business
from thirdring.hours import holiday_on, holidays_between, hours_on
from thirdring.settings import Business, Holiday, OpeningHours, Weekday
from thirdring.store.appointments import slots_of

NINE_TO_FIVE = OpeningHours(opens=time(9), closes=time(17))
MORNING = OpeningHours(opens=time(9), closes=time(11))
FRIDAY = date(2026, 12, 25)
THURSDAY = date(2026, 12, 24)


def with_holidays() -> Business:
    return business().model_copy(
        update={
            "hours": {Weekday.THURSDAY: (NINE_TO_FIVE,), Weekday.FRIDAY: (NINE_TO_FIVE,)},
            "holidays": (
                Holiday(day=FRIDAY, name="Christmas Day"),
                Holiday(day=THURSDAY, hours=(MORNING,)),
            ),
            "slot_minutes": 60,
        }
    )


def test_a_holiday_goes_before_its_weekday() -> None:
    """Closed, or open for other hours; the week before is as always, and Sunday is closed."""
    days = [FRIDAY, THURSDAY, date(2026, 12, 18), date(2026, 12, 27)]
    found = [hours_on(with_holidays(), day) for day in days]
    assert found == [(), (MORNING,), (NINE_TO_FIVE,), ()]


def test_holidays_have_no_slots_outside_of_their_hours() -> None:
    """None when it is closed, those of its own hours else."""
    found = [[slot.id for slot in slots_of(with_holidays(), day)] for day in (FRIDAY, THURSDAY)]
    assert found == [[], ["s_20261224_0900", "s_20261224_1000"]]


def test_holidays_are_named_in_order() -> None:
    """Those of a range, both ends included, whatever their order in the file."""
    named = [holiday.day for holiday in holidays_between(with_holidays(), THURSDAY, FRIDAY)]
    assert named == [THURSDAY, FRIDAY]
    assert not list(holidays_between(with_holidays(), date(2026, 12, 26), date(2027, 1, 1)))
    christmas = holiday_on(with_holidays(), FRIDAY)
    assert christmas
    assert christmas.name == "Christmas Day"
