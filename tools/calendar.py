"""The calendar of a business: when it is free on a day, and putting a meeting into it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from livekit.agents import RunContext, function_tool
from pydantic import Field

from thirdring.errors import ToolRefused
from thirdring.hours import hours_on
from thirdring.settings import OpeningHours
from thirdring.state import CallState
from thirdring.store.agenda import Span
from thirdring.store.events import Event, EventBook
from tools.calendars import Entry, calendar_of, entry_id, speakable
from tools.confirming import Critical, Moment, require_confirmed
from tools.days import day_meant
from tools.given import critical_of, name_if_given, number_of, words_given
from tools.guard import effect_key, guarded
from tools.spoken import listed, spoken_day, spoken_moment, spoken_span
from tools.times import here, moment_on, time_meant

__all__ = ["add_event", "check_calendar"]

_LONGEST_TITLE: Final = 100
_WHOLE_DAY: Final = (OpeningHours(opens=time(8), closes=time(20)),)
"""When a business may be met that names no hours at all."""


@function_tool
@guarded
async def check_calendar(ctx: RunContext[CallState], day: str) -> str:
    """Look up when the calendar is free on a day. It never tells what is in it, nor may you guess.

    Args:
        day: The day that the caller asks about: an ISO date such as 2026-11-24, "November 24", the
            name of a weekday, "today" or "tomorrow".
    """
    state = ctx.userdata
    wanted = day_meant(day, here(state).date())
    hours = list(_spans(state, wanted))
    if not hours:
        raise ToolRefused(f"{spoken_day(wanted)} is not a working day. Ask for another day.")
    now = here(state)
    with speakable(state):
        whole = Span(hours[0].starts_at, hours[-1].ends_at)
        taken = await (await calendar_of(state)).taken(whole)
    passed = [Span(whole.starts_at, now)] if whole.starts_at < now else []
    zone = state.business.time_zone
    free = [_spoken(span, zone) for span in _free(hours, [*passed, *taken])]
    if not free:
        raise ToolRefused(f"Nothing is free on {spoken_day(wanted)}. Ask for another day.")
    return json.dumps(
        {"day": wanted.isoformat(), "spoken_day": spoken_day(wanted), "free": listed(free)}
    )


@function_tool
@guarded(effect=True)
async def add_event(
    ctx: RunContext[CallState],
    title: str,
    day: str,
    start: str,
    *,
    minutes: Annotated[int, Field(ge=5, le=480)] = 30,
    with_name: str = "",
    with_phone: str = "",
) -> str:
    """Put a meeting into the calendar, at a time that the caller wants. Then tell them the moment.

    Call it once they have said what they want: the time is kept for them from then on. The first
    answer says what to read back; when they agree to it, call it again with the same arguments.

    Args:
        title: What it is about, in a few words, such as "Call about the roof".
        day: The day, as in check_calendar.
        start: When it begins, in the caller's words, such as "two", "half past two" or "14:00".
        minutes: How long it takes.
        with_name: Full name of the person who will come or call. Leave it empty when they have not
            said it.
        with_phone: Their phone number. Leave it empty to use the number that the caller is calling
            from.
    """
    state = ctx.userdata
    wanted = day_meant(day, here(state).date())
    at = moment_on(wanted, time_meant(start, _hours(state, wanted)), state.business)
    ends_at = (at.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(state.business.time_zone)
    event = _event(ctx, title, Span(at, ends_at), name=with_name, phone=with_phone)
    book = EventBook(state.store, state.business.slug)
    with speakable(state):
        added = await book.find(event.id)
        if added is None:
            entry = _entry(event)
            await _keep(state, entry)
            await require_confirmed(ctx, _read_back(event), *_critical(state, event))
            calendar = await calendar_of(state)
            added = await calendar.put(entry, lambda: book.add(event, now=state.clock.now()))
        if added is None:
            raise ToolRefused(_not_free(event))
    _require_same(added, event)
    return json.dumps(
        {"event_id": added.id, "title": added.title, "spoken": spoken_moment(at)},
        ensure_ascii=False,
    )


def _hours(state: CallState, day: date) -> Sequence[OpeningHours]:
    business = state.business
    return hours_on(business, day) if business.hours or business.holidays else _WHOLE_DAY


def _spans(state: CallState, day: date) -> Iterator[Span]:
    zone = state.business.time_zone
    for span in _hours(state, day):
        yield Span(
            datetime.combine(day, span.opens, zone), datetime.combine(day, span.closes, zone)
        )


def _free(hours: Iterable[Span], taken: Sequence[Span]) -> Iterator[Span]:
    for span in hours:
        start = span.starts_at
        for busy in sorted(taken):
            if start < busy.starts_at < span.ends_at:
                yield Span(start, busy.starts_at)
            start = max(start, busy.ends_at)
        if start < span.ends_at:
            yield Span(start, span.ends_at)


def _spoken(span: Span, zone: ZoneInfo) -> str:
    return spoken_span(span.starts_at.astimezone(zone), span.ends_at.astimezone(zone))


def _event(ctx: RunContext[CallState], title: str, when: Span, *, name: str, phone: str) -> Event:
    state = ctx.userdata
    about = words_given(title, "the title", longest=_LONGEST_TITLE)
    call_id = state.leg.call_id
    return Event(
        # The same wish of the same caller, however often the model asks, is one event.
        id=entry_id(state.business.slug, call_id, when.starts_at.isoformat(), about.casefold()),
        title=about,
        starts_at=when.starts_at,
        ends_at=when.ends_at,
        with_name=name_if_given(name),
        with_number=number_of(phone, state),
        call_id=call_id,
        key=effect_key(ctx),
    )


def _entry(event: Event) -> Entry:
    notes = [event.with_name and f"With: {event.with_name}"]
    notes.append(event.with_number and f"Phone: {event.with_number}")
    return Entry(
        id=event.id,
        title=event.title,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        notes="\n".join(filter(None, notes)),
    )


async def _keep(state: CallState, entry: Entry) -> None:
    """Keep the time for this call until the caller has agreed, or refuse it."""
    day = entry.starts_at.date()
    if entry.starts_at <= here(state):
        raise ToolRefused(f"{spoken_moment(entry.starts_at)} has passed. Ask for a later time.")
    within = any(
        span.starts_at <= entry.starts_at and entry.ends_at <= span.ends_at
        for span in _spans(state, day)
    )
    if not within:
        raise ToolRefused(
            f"{spoken_moment(entry.starts_at)} is not within the hours of that day. "
            f"{_hours_in_words(state, day)} Ask for another time."
        )
    if not await (await calendar_of(state)).hold(entry):
        raise ToolRefused(_not_free(entry))


def _hours_in_words(state: CallState, day: date) -> str:
    spans = [spoken_span(span.opens, span.closes) for span in _hours(state, day)]
    return f"Open {listed(spans)}." if spans else "It is closed."


def _not_free(wanted: Event | Entry) -> str:
    return (
        f"{spoken_moment(wanted.starts_at)} is not free. Call check_calendar for what is, and ask "
        "the caller which time suits them."
    )


def _require_same(added: Event, wanted: Event) -> None:
    """Let nobody be told that what stands in the calendar was changed."""
    if _details(added) != _details(wanted):
        raise ToolRefused(
            f"{added.title} is in the calendar already as it was agreed to, and cannot be changed "
            "here. Say so, and offer to take a message about what should be changed."
        )


def _details(event: Event) -> tuple[object, ...]:
    return event.ends_at, (event.with_name or "").casefold(), event.with_number


def _read_back(event: Event) -> str:
    with_whom = f" with {event.with_name}" if event.with_name else ""
    return f"{event.title}, {spoken_moment(event.starts_at)}{with_whom}"


def _critical(state: CallState, event: Event) -> list[Critical]:
    known = critical_of(state, name=event.with_name, number=event.with_number)
    return [Moment(event.starts_at), *known]
