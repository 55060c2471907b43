"""The appointment book of a business: its free times, and booking one of them.

Days, times, ids and reference numbers are made here; the model only hands them on.
"""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import phonenumbers
from livekit.agents import RunContext, function_tool

from thirdring.calls import e164
from thirdring.errors import StoreError, ToolRefused
from thirdring.state import CallState
from thirdring.store.appointments import AppointmentBook, Reservation, Slot, slots_of
from tools.days import HORIZON_DAYS, day_meant
from tools.refusal import guarded
from tools.spoken import listed, spoken_day, spoken_moment, spoken_time

__all__ = ["book_appointment", "find_slots"]

logger = logging.getLogger(__name__)

LONGEST_NAME = 100
SLOTS_OFFERED = 4


@function_tool
@guarded
async def find_slots(ctx: RunContext[CallState], day: str, near: str = "") -> str:
    """Find free appointment times on a day. Offer the caller the times, never the slot ids.

    Args:
        day: The day that the caller wants: an ISO date such as 2026-11-24, "November 24", the name
            of a weekday, "today" or "tomorrow".
        near: The time of day that the caller prefers, on the 24-hour clock, such as 14:30. Leave it
            empty when they have not said any.
    """
    state = ctx.userdata
    wanted = day_meant(day, _now(state).date())
    free = await _free(state, wanted)
    if not free:
        raise ToolRefused(await _why_none(state, wanted))
    slots = _selected(free, _minutes(near))
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
@guarded
async def book_appointment(
    ctx: RunContext[CallState], slot_id: str, name: str, phone: str = ""
) -> str:
    """Book a time that the caller has agreed to. Then tell them the day, time and reference.

    Args:
        slot_id: A slot_id that find_slots returned during this call.
        name: Full name of the person whom it is for, as the caller said it.
        phone: Their phone number. Leave it empty to use the number that the caller is calling
            from.
    """
    state = ctx.userdata
    slot = state.offered.get(slot_id)
    if slot is None:
        raise ToolRefused("No such slot was offered. Call find_slots, then use one of its ids.")
    wish = Reservation(
        slot=slot,
        name=_name(name),
        phone=_phone(phone, state),
        call_id=state.leg.call_id,
        key=f"{state.leg.call_id}:{ctx.function_call.call_id}",
    )
    if slot.starts_at <= _now(state):
        raise ToolRefused(f"That time has passed. {await _alternatives(state, slot)}")
    with _calendar_of(state) as book:
        appointment = await book.reserve(wish, now=state.clock.now())
    if appointment is None:
        raise ToolRefused(
            f"{spoken_moment(slot.starts_at)} has just been taken. "
            f"{await _alternatives(state, slot)}"
        )
    return json.dumps(
        {
            "reference": appointment.reference,
            "spoken": spoken_moment(appointment.starts_at.astimezone(state.business.time_zone)),
            "name": appointment.name,
        },
        ensure_ascii=False,
    )


def _now(state: CallState) -> datetime:
    return state.clock.now().astimezone(state.business.time_zone)


@contextmanager
def _calendar_of(state: CallState) -> Iterator[AppointmentBook]:
    """Yield the appointment book; while it cannot be reached the caller is not left to wonder."""
    try:
        yield AppointmentBook(state.store, state.business)
    except StoreError as error:
        logger.warning("call %s: no calendar: %s", state.leg.call_id, error)
        raise ToolRefused(
            "The calendar cannot be reached right now. Say so, and offer to take a message."
        ) from error


def _minutes(near: str) -> int | None:
    match = re.fullmatch(r"(\d{1,2}):(\d{2})", near.strip(), re.ASCII)
    return int(match[1]) * 60 + int(match[2]) if match else None


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


async def _free(state: CallState, day: date) -> list[Slot]:
    now = _now(state)
    ahead = [slot for slot in slots_of(state.business, day) if slot.starts_at > now]
    with _calendar_of(state) as book:
        return await book.free(ahead)


async def _why_none(state: CallState, day: date) -> str:
    open_at_all = any(True for _ in slots_of(state.business, day))
    if not open_at_all:
        why = f"We are closed on {spoken_day(day)}."
    elif day == _now(state).date():
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
    for later in (later for later in days if any(True for _ in slots_of(state.business, later))):
        if await _free(state, later):
            return later
    return None


async def _alternatives(state: CallState, slot: Slot) -> str:
    day = slot.starts_at.date()
    free = await _free(state, day)
    if not free:
        return await _why_none(state, day)
    near = slot.starts_at.hour * 60 + slot.starts_at.minute
    slots = _selected(free, near)
    state.offered.update((other.id, other) for other in slots)
    times = listed([f"{spoken_time(other.starts_at)} (slot_id {other.id})" for other in slots])
    return f"Still free on {spoken_day(day)}: {times}."


def _name(text: str) -> str:
    printable = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    name = " ".join(printable.split())
    if not any(character.isalpha() for character in name):
        raise ToolRefused("The name is missing. Ask the caller for it.")
    if len(name) > LONGEST_NAME:
        raise ToolRefused("The name is too long. Ask for first and last name only.")
    return name


def _phone(text: str, state: CallState) -> str | None:
    """Return the number in E.164; without its country's code it is one of the line's country."""
    if not text.strip():
        return state.leg.caller
    home = phonenumbers.parse(state.line.number)
    try:
        number = phonenumbers.parse(text, phonenumbers.region_code_for_number(home))
    except phonenumbers.NumberParseException:
        number = phonenumbers.PhoneNumber()
    full = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if not phonenumbers.is_possible_number(number) or e164(full) is None:
        raise ToolRefused(
            "That phone number is not complete. Ask the caller to say it again, digit by digit."
        )
    return full
