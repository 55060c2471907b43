"""The appointment book of a business: its free times, and booking one of them.

Days, times, ids and reference numbers are made here; the model only hands them on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import islice

from livekit.agents import RunContext, function_tool

from thirdring.errors import ToolRefused
from thirdring.hours import hours_on
from thirdring.state import CallState
from thirdring.store.agenda import Span, overlap
from thirdring.store.appointments import AppointmentBook, Reservation, Slot, slots_of
from tools.calendars import Entry, calendar_of, entry_id, speakable
from tools.confirming import Moment, Name, Phone, require_confirmed
from tools.days import HORIZON_DAYS, day_meant
from tools.guard import effect_key, guarded
from tools.people import name_given, number_given
from tools.spoken import listed, spoken_day, spoken_moment, spoken_time
from tools.times import here, time_meant

__all__ = ["book_appointment", "find_slots"]

SLOTS_OFFERED = 4
_DAYS_AT_A_TIME = 30


@function_tool
@guarded
async def find_slots(ctx: RunContext[CallState], day: str, near: str = "") -> str:
    """Find free appointment times on a day. Offer the caller the times, never the slot ids.

    Args:
        day: The day that the caller wants: an ISO date such as 2026-11-24, "November 24", the name
            of a weekday, "today" or "tomorrow".
        near: The time of day that the caller prefers, such as 14:30 or "half past two". Leave it
            empty when they have not said any.
    """
    state = ctx.userdata
    wanted = day_meant(day, here(state).date())
    with speakable(state):
        free = await _free(state, [wanted])
        if not free:
            raise ToolRefused(await _why_none(state, wanted))
    slots = _selected(free, _minutes(state, wanted, near))
    state.offered.update((slot.id, slot) for slot in slots)
    return json.dumps(
        {
            "day": wanted.isoformat(),
            "spoken_day": spoken_day(wanted),
            "slots": [
                {"slot_id": slot.id, "spoken": spoken_time(slot.starts_at)} for slot in slots
            ],
        }
    )


@function_tool
@guarded(effect=True)
async def book_appointment(
    ctx: RunContext[CallState], slot_id: str, name: str, phone: str = ""
) -> str:
    """Book a time that the caller has chosen. Then tell them the day, time and reference.

    Call it once they have chosen: the time is kept for them from then on. The first answer says
    what to read back; when they agree to it, call it again with the same arguments.

    Args:
        slot_id: A slot_id that find_slots returned during this call.
        name: Full name of the person whom it is for, as the caller said it.
        phone: Their phone number. Leave it empty to use the number that the caller is calling
            from.
    """
    state = ctx.userdata
    wish = _wish(ctx, slot_id, name, phone)
    with speakable(state):
        booked = await AppointmentBook(state.store, state.business).find(wish)
        if booked is None:
            entry = _entry(state, wish)
            await _keep(state, wish.slot, entry)
            await _confirm(ctx, wish, said_number=bool(phone.strip()))
            booked = await (await calendar_of(state)).put(
                entry,
                lambda: AppointmentBook(state.store, state.business).reserve(
                    wish, now=state.clock.now()
                ),
            )
        if booked is None:
            raise ToolRefused(await _has_been_taken(state, wish.slot))
    if phone.strip() and booked.phone != wish.phone:
        raise ToolRefused(
            f"{booked.reference} is booked already with another phone number, which cannot be "
            "changed here. Say so. Our staff can help."
        )
    return json.dumps(
        {
            "reference": booked.reference,
            "spoken": spoken_moment(booked.starts_at.astimezone(state.business.time_zone)),
            "name": booked.name,
        },
        ensure_ascii=False,
    )


def _wish(ctx: RunContext[CallState], slot_id: str, name: str, phone: str) -> Reservation:
    state = ctx.userdata
    slot = state.offered.get(slot_id)
    if slot is None:
        raise ToolRefused("No such slot was offered. Call find_slots, then use one of its ids.")
    return Reservation(
        slot=slot,
        name=name_given(name),
        phone=number_given(phone, state) if phone.strip() else state.leg.caller,
        call_id=state.leg.call_id,
        key=effect_key(ctx),
    )


def _entry(state: CallState, wish: Reservation) -> Entry:
    slot = wish.slot
    return Entry(
        id=entry_id(state.business.slug, wish.call_id, slot.id, wish.name.casefold()),
        title=f"Appointment: {wish.name}",
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        notes=f"Phone: {wish.phone}" if wish.phone else "",
    )


async def _keep(state: CallState, slot: Slot, entry: Entry) -> None:
    """Keep a slot for this call until the caller has agreed, or refuse it."""
    if slot.starts_at <= here(state):
        raise ToolRefused(f"That time has passed. {await _alternatives(state, slot)}")
    if not await (await calendar_of(state)).hold(entry):
        raise ToolRefused(await _has_been_taken(state, slot))


async def _confirm(ctx: RunContext[CallState], wish: Reservation, *, said_number: bool) -> None:
    """Let nothing be booked that the caller has not heard; their own number they need not hear."""
    moment = f"an appointment on {spoken_moment(wish.slot.starts_at)} for {wish.name}"
    number = [Phone(wish.phone)] if said_number and wish.phone else []
    await require_confirmed(ctx, moment, Moment(wish.slot.starts_at), Name(wish.name), *number)


def _minutes(state: CallState, day: date, near: str) -> int | None:
    if not near.strip():
        return None
    time = time_meant(near, hours_on(state.business, day))
    return time.hour * 60 + time.minute


def _selected(free: list[Slot], near: int | None) -> list[Slot]:
    """Return a few slots: those closest to a time of day, else spread from first to last."""
    if len(free) <= SLOTS_OFFERED:
        return free
    if near is None:
        last = len(free) - 1
        return [free[round(i * last / (SLOTS_OFFERED - 1))] for i in range(SLOTS_OFFERED)]

    def distance(slot: Slot) -> int:
        return abs(slot.starts_at.hour * 60 + slot.starts_at.minute - near)

    return sorted(sorted(free, key=distance)[:SLOTS_OFFERED], key=lambda slot: slot.starts_at)


async def _free(state: CallState, days: Iterable[date]) -> list[Slot]:
    """Return the slots of some days in a row that can still be had, in order."""
    now = here(state)
    ahead = [slot for day in days for slot in slots_of(state.business, day) if slot.starts_at > now]
    if not ahead:
        return []
    taken = await (await calendar_of(state)).taken(Span(ahead[0].starts_at, ahead[-1].ends_at))
    return [slot for slot in ahead if not any(overlap(slot, span) for span in taken)]


async def _why_none(state: CallState, day: date) -> str:
    open_at_all = any(True for _ in slots_of(state.business, day))
    if not open_at_all:
        why = f"We are closed on {spoken_day(day)}."
    elif day == here(state).date():
        why = "No times are left today."
    else:
        why = f"{spoken_day(day)} is fully booked."
    following = await _next_free_day(state, day)
    if following is None:
        return f"{why} No later day is free either. Our staff can help."
    name = "open day" if not open_at_all else "day with free times"
    return f"{why} The next {name} is {spoken_day(following)}."


async def _next_free_day(state: CallState, day: date) -> date | None:
    days = (day + timedelta(days=count) for count in range(1, HORIZON_DAYS))
    while some := list(islice(days, _DAYS_AT_A_TIME)):
        if free := await _free(state, some):
            return free[0].starts_at.date()
    return None


async def _has_been_taken(state: CallState, slot: Slot) -> str:
    return (
        f"{spoken_moment(slot.starts_at)} has just been taken. {await _alternatives(state, slot)}"
    )


async def _alternatives(state: CallState, slot: Slot) -> str:
    day = slot.starts_at.date()
    free = await _free(state, [day])
    if not free:
        return await _why_none(state, day)
    slots = _selected(free, slot.starts_at.hour * 60 + slot.starts_at.minute)
    state.offered.update((other.id, other) for other in slots)
    times = listed([f"{spoken_time(other.starts_at)} (slot_id {other.id})" for other in slots])
    return f"Still free on {spoken_day(day)}: {times}."
