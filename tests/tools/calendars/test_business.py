"""A business that keeps its calendar elsewhere: both are asked, both are written, none alone."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest
from livekit.agents.llm import Tool, Toolset

from tests.peers.caldav_server import CalDavServer
from tests.peers.google_server import google_server
from tests.peers.tool_calls import Conversation, calling
from tests.samples import LOOPBACK, business
from thirdring.outside_settings import CalDavSettings, CalendarSettings
from thirdring.store import Store
from thirdring.store.appointments import AppointmentBook
from thirdring.store.events import Event, EventBook
from tools.appointments import book_appointment, find_slots
from tools.calendar import add_event, check_calendar
from tools.calendars import calendar_of
from tools.calendars.calendar import Entry
from tools.calendars.google import GoogleCalendar
from tools.calendars.opening import open_outside

TOOLS: list[Tool | Toolset] = [check_calendar, add_event, find_slots, book_appointment]
WISH = {"title": "Call about the roof", "day": "Monday", "start": "two", "with_name": "Ada Byron"}
BUSY = "BEGIN:VEVENT\nUID:b\nDTSTAMP:20261101T000000Z\n{}\nEND:VEVENT"
MONDAY_AT_TWO = "DTSTART:20261123T190000Z\nDTEND:20261123T200000Z"
AWAY = "The calendar cannot be reached right now. Say so, and offer to take a message."


@pytest.fixture
def call(call: Conversation, server: CalDavServer) -> Conversation:
    _keep_elsewhere(call, server.settings)
    return call


def _keep_elsewhere(call: Conversation, settings: CalDavSettings) -> None:
    calendar = CalendarSettings(caldav=settings)
    call.state.business = business().model_copy(update={"calendar": calendar})
    call.state.allowed_receivers = LOOPBACK


async def test_what_stands_there_is_not_free(call: Conversation, server: CalDavServer) -> None:
    """Neither for a meeting nor for an appointment."""
    server.put("busy", BUSY.format(MONDAY_AT_TWO))
    found = json.loads(await call.use("check_calendar", day="Monday"))
    assert found["free"] == "9 AM to 2 PM and 3 PM to 5 PM"
    slots = json.loads(await call.use("find_slots", day="Monday", near="two"))["slots"]
    assert [slot["spoken"] for slot in slots] == ["12:30 PM", "1 PM", "1:30 PM", "3 PM"]
    assert "is not free" in await call.agreed("add_event", **WISH)


async def test_a_meeting_stands_in_both(
    call: Conversation, server: CalDavServer, store: Store
) -> None:
    """Once, though the model asks for it again."""
    first = await call.agreed("add_event", **WISH)
    assert await call.agreed("add_event", **WISH) == first
    (text,) = server.entries()
    assert "SUMMARY:Call about the roof" in text
    assert "Ada Byron" in text
    (event,) = await EventBook(store, business().slug).of_call("call-1")
    assert f"UID:{event.id}" in text


async def test_an_appointment_stands_in_both(
    call: Conversation, server: CalDavServer, store: Store
) -> None:
    """With the name of who comes."""
    slot, *_ = await call.offered("Tuesday")
    await call.agreed("book_appointment", slot_id=slot, name="Ada Byron")
    (text,) = server.entries()
    assert "SUMMARY:Appointment: Ada Byron" in text
    assert len(await AppointmentBook(store, business()).of_call("call-1")) == 1


async def test_what_was_taken_there_meanwhile_is_refused(
    call: Conversation, server: CalDavServer, store: Store
) -> None:
    """Its owner was faster; nothing is kept for this caller."""
    slot, *_ = await call.offered("Tuesday")
    server.put("busy", BUSY.format("DTSTART:20261124T140000Z\nDTEND:20261124T143000Z"))
    answer = await call.agreed("book_appointment", slot_id=slot, name="Ada Byron")
    assert "9 AM has just been taken" in answer
    holds = await store.read(
        lambda connection: connection.execute("SELECT * FROM holds").fetchall()
    )
    assert holds == []


async def test_a_calendar_that_is_away_is_an_apology(call: Conversation, store: Store) -> None:
    """Nothing is offered and nothing is promised that it might contradict."""
    away = call.state.business.calendar.caldav
    assert away is not None
    _keep_elsewhere(call, away.model_copy(update={"url": "http://127.0.0.1:9/x/"}))
    assert await call.use("check_calendar", day="Monday") == f"REFUSED: {AWAY}"
    assert await call.use("find_slots", day="Monday") == f"REFUSED: {AWAY}"
    assert await call.use("add_event", **WISH) == f"REFUSED: {AWAY}"
    assert await EventBook(store, business().slug).of_call("call-1") == []


async def _fail_to_write(call: Conversation, server: CalDavServer) -> None:
    """Let our store fail after the calendar there was written."""
    calendar = await calendar_of(call.state)
    entry = Entry("abcdefgh", "Meeting", *_monday_at_ten())

    async def fail() -> None:
        assert len(server.entries()) == 1
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await calendar.put(entry, fail)


def _monday_at_ten() -> tuple[datetime, datetime]:
    return datetime(2026, 11, 23, 15, tzinfo=UTC), datetime(2026, 11, 23, 15, 30, tzinfo=UTC)


async def test_what_only_half_came_about_is_undone_with_the_call(
    store: Store, server: CalDavServer
) -> None:
    """No meeting stands there of which our store knows nothing."""
    async with calling(store, TOOLS) as call:
        _keep_elsewhere(call, server.settings)
        await _fail_to_write(call, server)
        assert len(server.entries()) == 1
    assert server.entries() == []


async def test_what_came_about_after_all_is_not_undone(store: Store, server: CalDavServer) -> None:
    """A tool whose time was up may have written it: it stands in both."""
    async with calling(store, TOOLS) as call:
        _keep_elsewhere(call, server.settings)
        calendar = await calendar_of(call.state)
        entry = Entry("abcdefgh", "Meeting", *_monday_at_ten())
        event = Event(
            entry.id, entry.title, entry.starts_at, entry.ends_at, None, None, "call-1", "key"
        )

        async def write() -> None:
            await EventBook(store, business().slug).add(event, now=call.clock.now())
            raise TimeoutError

        with pytest.raises(TimeoutError):
            await calendar.put(entry, write)
    assert len(server.entries()) == 1


async def test_asked_for_twice_at_once_it_is_put_once(store: Store, server: CalDavServer) -> None:
    """Both hear the same."""
    async with calling(store, TOOLS) as call:
        _keep_elsewhere(call, server.settings)
        calendar = await calendar_of(call.state)
        entry = Entry("abcdefgh", "Meeting", *_monday_at_ten())

        async def write() -> str:
            await asyncio.sleep(0)
            return "written"

        both = await asyncio.gather(*(calendar.put(entry, write) for _ in range(2)))
    assert both == ["written", "written"]
    assert len(server.entries()) == 1


async def test_what_only_half_came_about_is_completed_by_a_retry(
    store: Store, server: CalDavServer
) -> None:
    """The same entry, once, and it stays."""
    async with calling(store, TOOLS) as call:
        _keep_elsewhere(call, server.settings)
        await _fail_to_write(call, server)
        calendar = await calendar_of(call.state)
        entry = Entry("abcdefgh", "Meeting", *_monday_at_ten())
        assert await calendar.hold(entry), "what stands there is our own"

        async def write() -> str:
            return "written"

        assert await calendar.put(entry, write) == "written"
    assert len(server.entries()) == 1


async def test_a_google_calendar_is_opened_by_its_settings(store: Store) -> None:
    """The API is Google's; nothing is asked before there is a question."""
    async with google_server() as google, calling(store, TOOLS) as call:
        calendar = CalendarSettings(google=google.settings)
        call.state.business = business().model_copy(update={"calendar": calendar})
        async with open_outside(call.state) as outside:
            assert isinstance(outside, GoogleCalendar)
        assert google.asked == []


async def test_a_time_that_was_given_away_is_no_meeting(store: Store, server: CalDavServer) -> None:
    """When our store says no after all, what was written there is undone with the call."""
    async with calling(store, TOOLS) as call:
        _keep_elsewhere(call, server.settings)
        calendar = await calendar_of(call.state)

        async def refuse() -> str | None:
            return None

        entry = Entry("abcdefgh", "Meeting", *_monday_at_ten())
        assert await calendar.put(entry, refuse) is None
    assert server.entries() == []
