from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from livekit.agents.llm import Tool, Toolset

from tests.peers.tool_calls import Conversation
from tests.samples import SetClock, business
from thirdring.store import Store, from_text
from thirdring.store.appointments import AppointmentBook
from thirdring.store.events import Event, EventBook
from tools.appointments import book_appointment, find_slots
from tools.calendar import add_event, check_calendar

TOOLS: list[Tool | Toolset] = [check_calendar, add_event, find_slots, book_appointment]
WISH = {"title": "Call about the roof", "day": "Monday", "start": "two", "with_name": "Ada Byron"}


async def events(store: Store) -> list[Event]:
    return await EventBook(store, business().slug).of_call("call-1")


async def free_on(call: Conversation, day: str) -> str:
    found = json.loads(await call.use("check_calendar", day=day))
    return f"{found['spoken_day']}: {found['free']}"


async def test_an_empty_day_is_free(call: Conversation) -> None:
    """From opening to closing."""
    assert await free_on(call, "Monday") == "Monday, November 23: 9 AM to 5 PM"


async def test_what_is_left_of_a_day_is_free(call: Conversation) -> None:
    """The time that has passed is not."""
    assert await free_on(call, "today") == "Friday, November 20: 12:10 PM to 5 PM"


@pytest.mark.parametrize(
    ("day", "hour", "answer"),
    [
        ("Saturday", 17, "Saturday, November 21 is not a working day. Ask for another day."),
        ("today", 23, "Nothing is free on Friday, November 20. Ask for another day."),
    ],
)
async def test_a_day_may_have_no_time(call: Conversation, day: str, hour: int, answer: str) -> None:
    """Because it is closed, or over."""
    assert isinstance(call.clock, SetClock)
    call.clock.moment = datetime(2026, 11, 20, hour, tzinfo=UTC)
    assert await call.use("check_calendar", day=day) == f"REFUSED: {answer}"


async def test_an_event_is_added_once_the_caller_agrees(call: Conversation, store: Store) -> None:
    """ "Two" is two in the afternoon; the event has who will come, and its time is not free."""
    added = json.loads(await call.agreed("add_event", **WISH))
    assert added["spoken"] == "Monday, November 23 at 2 PM"
    (event,) = await events(store)
    assert (event.title, event.with_name, event.with_number) == (
        "Call about the roof",
        "Ada Byron",
        "+12025550199",
    )
    assert event.starts_at == datetime(2026, 11, 23, 19, tzinfo=UTC)
    assert event.ends_at == datetime(2026, 11, 23, 19, 30, tzinfo=UTC)
    assert await free_on(call, "Monday") == (
        "Monday, November 23: 9 AM to 2 PM and 2:30 PM to 5 PM"
    )


async def test_nothing_is_added_without_a_yes(call: Conversation, store: Store) -> None:
    """The first answer says what to read back."""
    answer = await call.use("add_event", **WISH)
    assert "Call about the roof, Monday, November 23 at 2 PM with Ada Byron" in answer
    assert answer.startswith("REFUSED: Not done yet.")
    assert await events(store) == []


async def test_adding_again_is_the_same_event(call: Conversation, store: Store) -> None:
    """A model that loops adds once, by the same tool call or a new one."""
    answers = {
        await call.agreed("add_event", tool_call, **WISH) for tool_call in ("f1", "f1", "f2")
    }
    assert len(answers) == 1
    assert len(await events(store)) == 1


@pytest.mark.parametrize(
    "change",
    [{"minutes": 60}, {"with_name": "Ada Bryant"}, {"with_phone": "202 555 0111"}],
    ids=lambda change: next(iter(change)),
)
async def test_nobody_is_told_that_an_event_was_changed(
    call: Conversation, store: Store, change: dict[str, Any]
) -> None:
    """It stays as it was, and the model hears so."""
    await call.agreed("add_event", **WISH)
    before = await events(store)
    answer = await call.agreed("add_event", **(WISH | change))
    assert answer.startswith("REFUSED: Call about the roof is in the calendar already")
    assert await events(store) == before


async def test_an_event_takes_the_slot_of_an_appointment(call: Conversation, store: Store) -> None:
    """Meetings and appointments are kept by the same people."""
    await call.agreed("add_event", **WISH)
    found = json.loads(await call.use("find_slots", day="Monday", near="two"))
    assert [slot["spoken"] for slot in found["slots"]] == ["1 PM", "1:30 PM", "2:30 PM", "3 PM"]


async def test_an_appointment_takes_the_time_of_an_event(call: Conversation, store: Store) -> None:
    """And the model hears how to go on."""
    found = json.loads(await call.use("find_slots", day="Monday", near="two"))
    slot = next(slot["slot_id"] for slot in found["slots"] if slot["spoken"] == "2 PM")
    await call.agreed("book_appointment", slot_id=slot, name="Bob Smith")
    (booked,) = await AppointmentBook(store, business()).of_call("call-1")
    assert from_text("2026-11-23T19:00:00+00:00") == booked.starts_at
    assert await call.use("add_event", **WISH) == (
        "REFUSED: Monday, November 23 at 2 PM is not free. Call check_calendar for what is, and "
        "ask the caller which time suits them."
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"start": "seven"}, "That can be 7 AM or 7 PM"),
        ({"start": "7 pm"}, "is not within the hours of that day. Open 9 AM to 5 PM."),
        ({"start": "4:45 pm"}, "is not within the hours of that day"),
        (
            {"day": "Saturday", "start": "2 pm"},
            "is not within the hours of that day. It is closed.",
        ),
        ({"day": "today", "start": "9 am"}, "has passed"),
        ({"day": "someday"}, "The day must be"),
        ({"start": ""}, "is no time of day"),
        ({"title": " "}, "There are no words in the title"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": 100_000}, "minutes"),
        ({"with_phone": "555"}, "That phone number is not complete"),
    ],
)
async def test_what_cannot_be_is_refused(
    call: Conversation, store: Store, change: dict[str, Any], reason: str
) -> None:
    """The model is told what to ask; nothing is added."""
    answer = await call.agreed("add_event", None, **(WISH | change))
    assert answer.startswith("REFUSED: ")
    assert reason in answer
    assert await events(store) == []


async def test_who_names_no_hours_is_met_by_day(call: Conversation) -> None:
    """Eight to eight."""
    call.state.business = business().model_copy(update={"hours": {}})
    assert await free_on(call, "Saturday") == ("Saturday, November 21: 8 AM to 8 PM")
