from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, time, timedelta

import pytest

from tests.samples import at, business
from thirdring.settings import Business, OpeningHours, Weekday
from thirdring.store import Store
from thirdring.store.agenda import Agenda, Span
from thirdring.store.appointments import AppointmentBook, Reservation, Slot, slots_of

TUESDAY = date(2026, 11, 24)
CLINIC = business()
NINE, HALF_PAST, TEN = list(slots_of(CLINIC, TUESDAY))[:3]


@pytest.fixture
def book(store: Store) -> AppointmentBook:
    return AppointmentBook(store, CLINIC)


@pytest.fixture
def agenda(store: Store) -> Agenda:
    return Agenda(store, CLINIC.slug, "c9")


def wish(key: str, *, slot: Slot = NINE, name: str = "Ada Byron", call: str = "c1") -> Reservation:
    return Reservation(slot=slot, name=name, phone=None, call_id=call, key=key)


def test_slots_fill_the_hours() -> None:
    """A day from nine to five has sixteen half hours, the last one ending at five."""
    slots = list(slots_of(CLINIC, TUESDAY))
    assert [slot.id for slot in slots[:2]] == ["s_20261124_0900", "s_20261124_0930"]
    assert len(slots) == 16
    assert slots[-1].ends_at.time() == time(17)
    assert list(slots_of(CLINIC, TUESDAY + timedelta(days=4))) == []


def at_night(day: Weekday) -> Business:
    hours = {day: (OpeningHours(opens=time(0), closes=time(4)),)}
    return CLINIC.model_copy(update={"hours": hours, "slot_minutes": 60})


def test_the_hour_that_comes_twice_is_offered_once() -> None:
    """On the day the clocks go back, no two slots share an id."""
    slots = list(slots_of(at_night(Weekday.SUNDAY), date(2026, 11, 1)))
    assert [slot.id[-4:] for slot in slots] == ["0000", "0100", "0200", "0300"]


def test_the_hour_that_is_left_out_is_not_offered() -> None:
    """On the day the clocks go forward, two o'clock does not exist."""
    slots = list(slots_of(at_night(Weekday.SUNDAY), date(2026, 3, 8)))
    assert [slot.id[-4:] for slot in slots] == ["0000", "0100", "0300"]


async def test_a_reservation_takes_its_slot(book: AppointmentBook, agenda: Agenda) -> None:
    """What is reserved is not free any more; its neighbours are."""
    appointment = await book.reserve(wish("k1", slot=HALF_PAST), now=at(0))
    assert appointment is not None
    assert appointment.reference == "RC-1001"
    assert await agenda.taken(Span(NINE.starts_at, TEN.ends_at), now=at(0)) == [
        Span(HALF_PAST.starts_at, HALF_PAST.ends_at)
    ]
    assert await book.of_call("c1") == [appointment]


async def test_a_slot_has_one_patient(book: AppointmentBook) -> None:
    """Someone else's slot is not to be had, by the same call or another."""
    await book.reserve(wish("k1"), now=at(0))
    assert await book.reserve(wish("k2", name="Bob"), now=at(0)) is None
    assert await book.reserve(wish("k3", call="c2"), now=at(0)) is None


async def test_longer_appointments_of_the_past_still_block(store: Store) -> None:
    """A slot that overlaps one of another length is taken."""
    hourly = AppointmentBook(store, CLINIC.model_copy(update={"slot_minutes": 60}))
    long = replace(NINE, ends_at=TEN.starts_at)
    assert await hourly.reserve(wish("k1", slot=long), now=at(0))
    book = AppointmentBook(store, CLINIC)
    assert await book.reserve(wish("k2", slot=HALF_PAST), now=at(0)) is None


async def test_asking_again_books_nothing_more(book: AppointmentBook) -> None:
    """The same tool call, or the same wish in the same call, gets the same appointment."""
    first = await book.reserve(wish("k1"), now=at(0))
    assert await book.reserve(wish("k1", slot=TEN), now=at(1)) == first
    assert await book.reserve(wish("k2", name="ADA BYRON"), now=at(1)) == first
    following = await book.reserve(wish("k3", slot=TEN), now=at(2))
    assert following is not None
    assert following.reference == "RC-1002"


async def test_of_many_who_want_a_slot_one_gets_it(
    store: Store, another: Callable[[], Store]
) -> None:
    """However many ask at the same time, over however many connections."""
    async with another() as other:
        books = [AppointmentBook(one, CLINIC) for one in (store, other)]
        wishes = [wish(f"k{n}", call=f"c{n}", name=f"Patient {n}") for n in range(20)]
        got = await asyncio.gather(
            *(books[n % 2].reserve(wanted, now=at(0)) for n, wanted in enumerate(wishes))
        )
    assert len([appointment for appointment in got if appointment]) == 1


async def test_a_slot_is_never_booked_twice(store: Store, another: Callable[[], Store]) -> None:
    """Two calls ask at the same moment over connections of their own, 1,000 times: one gets it.

    Every other time they do not begin at the same minute, so that no primary key tells one from
    the other.
    """
    slots = _some_slots(1000)
    later = timedelta(minutes=15)
    winners = []
    async with another() as other:
        books = [AppointmentBook(one, CLINIC) for one in (store, other)]
        for number, slot in enumerate(slots):
            shift = later * (number % 2)
            shifted = replace(slot, starts_at=slot.starts_at + shift, ends_at=slot.ends_at + shift)
            got = await asyncio.gather(
                books[0].reserve(wish(f"{slot.id}-1", slot=slot, call="c1"), now=at(0)),
                books[1].reserve(wish(f"{slot.id}-2", slot=shifted, call="c2"), now=at(0)),
            )
            winners.append([n for n, appointment in enumerate(got) if appointment])
    twice, never = [sum(len(won) == many for won in winners) for many in (2, 0)]
    print(  # noqa: T201
        f"1000 trials: {twice} booked twice, {never} by nobody; the first of both won "
        f"{winners.count([0])}"
    )
    assert (twice, never) == (0, 0)
    rows = await store.read(
        lambda connection: connection.execute("SELECT reference FROM appointments").fetchall()
    )
    assert {row["reference"] for row in rows} == {f"RC-{1001 + n}" for n in range(1000)}


def _some_slots(count: int) -> list[Slot]:
    """Return slots of which no two, moved by a quarter of an hour, overlap."""
    days = (TUESDAY + timedelta(days=number) for number in range(300))
    return [slot for day in days for slot in list(slots_of(CLINIC, day))[::2]][:count]


async def test_businesses_do_not_share_a_book(book: AppointmentBook, store: Store) -> None:
    """Another business has its own slots and its own numbers."""
    await book.reserve(wish("k1"), now=at(0))
    other = AppointmentBook(store, business(slug="lakeside_clinic"))
    appointment = await other.reserve(wish("k2"), now=at(0))
    assert appointment is not None
    assert appointment.reference == "RC-1001"


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("Riverside Clinic", "RC"),
        ("The Old Mill Bed and Breakfast", "TOM"),
        ("Ärzte am Ring", "AR"),
        ("24/7 Care", "C"),
        ("诊所", "RC"),
    ],
)
async def test_references_begin_with_the_initials(store: Store, name: str, prefix: str) -> None:
    """Letters that can be spelled on the phone, from the name or else the slug."""
    book = AppointmentBook(store, CLINIC.model_copy(update={"name": name}))
    appointment = await book.reserve(wish("k1"), now=at(0))
    assert appointment is not None
    assert appointment.reference == f"{prefix}-1001"
