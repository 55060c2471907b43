from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

from tests.samples import at, business
from thirdring.store import Store
from thirdring.store.agenda import HOLD, Agenda, Span
from thirdring.store.appointments import AppointmentBook, Reservation, slots_of
from thirdring.store.events import Event, EventBook

CLINIC = business()
NINE, HALF_PAST = list(slots_of(CLINIC, date(2026, 11, 24)))[:2]
EVENT = Event("e1", "Lunch", NINE.starts_at, NINE.ends_at, "Ada", "+12025550142", "c1", "c1:t1")


def agenda(store: Store, call: str = "c1") -> Agenda:
    return Agenda(store, CLINIC.slug, call)


def reservation(call: str) -> Reservation:
    return Reservation(slot=NINE, name="Ada", phone=None, call_id=call, key=f"{call}:t1")


async def test_what_is_kept_for_a_call_is_free_for_it_alone(store: Store) -> None:
    """Until it expires."""
    assert await agenda(store).hold(NINE, now=at(0))
    assert await agenda(store, "c1").taken(NINE, now=at(1)) == []
    kept = [Span(NINE.starts_at, NINE.ends_at)]
    assert await agenda(store, "c2").taken(NINE, now=at(1)) == kept
    assert await agenda(store, "c2").taken(HALF_PAST, now=at(1)) == []
    assert await agenda(store, "c2").taken(NINE, now=at(0) + HOLD) == []


async def test_another_business_has_time_of_its_own(store: Store) -> None:
    """What one keeps does not bind its neighbour."""
    await agenda(store).hold(NINE, now=at(0))
    assert await Agenda(store, "lakeside", "c2").taken(NINE, now=at(0)) == []


async def test_a_kept_time_is_booked_by_its_call_only(store: Store) -> None:
    """And keeps nothing any more once it is booked."""
    book = AppointmentBook(store, CLINIC)
    await agenda(store).hold(NINE, now=at(0))
    assert await book.reserve(reservation("c2"), now=at(1)) is None
    assert await book.reserve(reservation("c1"), now=at(1))
    rows = await store.read(lambda connection: connection.execute("SELECT * FROM holds").fetchall())
    assert rows == []


async def test_of_two_who_choose_a_time_one_is_promised_it(
    store: Store, another: Callable[[], Store]
) -> None:
    """At the same moment, over connections of their own, 100 times."""
    got = []
    async with another() as other:
        for day in range(100):
            later = timedelta(days=day)
            span = Span(NINE.starts_at + later, NINE.ends_at + later)
            got.append(
                await asyncio.gather(
                    agenda(store, f"a{day}").hold(span, now=at(0)),
                    agenda(other, f"b{day}").hold(span, now=at(0)),
                )
            )
    assert [sum(pair) for pair in got] == [1] * 100


async def test_an_event_fills_its_time(store: Store) -> None:
    """No appointment is made then, and no second event; what was released is free again."""
    events = EventBook(store, CLINIC.slug)
    assert await events.add(EVENT, now=at(0)) == EVENT
    assert await events.of_call("c1") == [EVENT]
    assert await AppointmentBook(store, CLINIC).reserve(reservation("c2"), now=at(0)) is None
    assert await events.add(replace(EVENT, id="e2", key="c1:t2"), now=at(0)) is None
    assert not await agenda(store, "c3").hold(NINE, now=at(0))
    await agenda(store, "c3").hold(HALF_PAST, now=at(0))
    await agenda(store, "c3").release()
    assert await agenda(store, "c4").hold(HALF_PAST, now=at(0))


async def test_an_event_is_added_once(store: Store) -> None:
    """The same wish of a call is the event that it was the first time."""
    events = EventBook(store, CLINIC.slug)
    await events.add(EVENT, now=at(0))
    assert await events.add(replace(EVENT, key="c1:t2"), now=at(1)) == EVENT
    assert await events.find("e1") == EVENT
    assert await events.find("e2") is None
