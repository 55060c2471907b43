from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime
from typing import Any

import pytest
from livekit.agents.llm import FunctionTool, Tool, Toolset
from livekit.agents.llm.utils import build_legacy_openai_schema

from tests.peers.tool_calls import FRIDAY_NOON, Conversation, calling
from tests.samples import SetClock, business
from thirdring.calls import Role
from thirdring.store import Store
from thirdring.store.agenda import HOLD
from thirdring.store.appointments import AppointmentBook, Reservation, slots_of
from tools.appointments import book_appointment, find_slots

TOOLS: list[Tool | Toolset] = [find_slots, book_appointment]
TUESDAY = date(2026, 11, 24)


async def test_free_times_are_offered_with_ids(call: Conversation) -> None:
    """Four times from first to last, each with the id that books it."""
    assert json.loads(await call.use("find_slots", day="2026-11-24")) == {
        "day": "2026-11-24",
        "spoken_day": "Tuesday, November 24",
        "slots": [
            {"slot_id": "s_20261124_0900", "spoken": "9 AM"},
            {"slot_id": "s_20261124_1130", "spoken": "11:30 AM"},
            {"slot_id": "s_20261124_1400", "spoken": "2 PM"},
            {"slot_id": "s_20261124_1630", "spoken": "4:30 PM"},
        ],
    }


async def test_times_near_a_wish_are_offered(call: Conversation) -> None:
    """A caller who wants the late afternoon is offered the late afternoon."""
    found = json.loads(await call.use("find_slots", day="Tuesday", near="16:00"))
    assert [slot["spoken"] for slot in found["slots"]] == ["3 PM", "3:30 PM", "4 PM", "4:30 PM"]


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("today", "20261120"),
        ("friday", "20261120"),
        ("next Friday", "20261127"),
        (" Monday ", "20261123"),
        ("on monday", "20261123"),
        ("20261126", "20261126"),
        ("Tuesday, November 24", "20261124"),
        ("January 4th", "20270104"),
        ("december 1, 2026", "20261201"),
    ],
)
async def test_days_may_be_named(call: Conversation, said: str, day: str) -> None:
    """A weekday is the next one, as is a day without its year."""
    slots = await call.offered(said)
    assert {slot[2:10] for slot in slots} == {day}


async def test_what_is_over_is_not_offered(call: Conversation) -> None:
    """At ten past noon the first time of today is half past."""
    assert (await call.offered("today"))[0] == "s_20261120_1230"


async def test_the_day_is_that_of_the_business(call: Conversation, store: Store) -> None:
    """Late in the evening in New York it is tomorrow in UTC, and still today for the caller."""
    assert isinstance(call.clock, SetClock)
    call.clock.moment = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    assert (await call.offered("tomorrow"))[0] == "s_20261124_0900"
    refused = await call.use("find_slots", day="today")
    assert refused == (
        "REFUSED: No times are left today. The next day with free times is Tuesday, November 24."
    )


@pytest.mark.parametrize(
    ("day", "answer"),
    [
        (
            "saturday",
            "We are closed on Saturday, November 21. The next open day is Monday, November 23.",
        ),
        (
            "2026-11-19",
            "Thursday, November 19, 2026 is in the past. "
            "Today is Friday, November 20 (2026-11-20).",
        ),
        (
            "February 30",
            "The day must be an ISO date, a month and day, a weekday, today or tomorrow. "
            "Today is Friday, November 20 (2026-11-20). Ask the caller which day they want.",
        ),
        (
            "2031-01-01",
            "That is more than a year ahead, too far to book. "
            "Today is Friday, November 20 (2026-11-20).",
        ),
        (
            "the 24th; DROP TABLE",
            "The day must be an ISO date, a month and day, a weekday, today or tomorrow. "
            "Today is Friday, November 20 (2026-11-20). Ask the caller which day they want.",
        ),
    ],
)
async def test_a_refusal_says_what_to_do(call: Conversation, day: str, answer: str) -> None:
    """The model hears why, and which day would do."""
    assert await call.use("find_slots", day=day) == f"REFUSED: {answer}"


async def test_a_full_day_names_the_next(call: Conversation, store: Store) -> None:
    """When everything is taken, the next day with free times is offered."""
    book = AppointmentBook(store, business())
    for number, slot in enumerate(slots_of(business(), TUESDAY)):
        wish = Reservation(slot, f"Patient {number}", None, "other", f"k{number}")
        await book.reserve(wish, now=FRIDAY_NOON)
    assert await call.use("find_slots", day="tuesday") == (
        "REFUSED: Tuesday, November 24 is fully booked. "
        "The next day with free times is Wednesday, November 25."
    )


async def test_a_business_without_hours_has_no_times(call: Conversation) -> None:
    """When there is no day at all to offer, the model hears so."""
    call.state.business = business().model_copy(update={"hours": {}})
    answer = await call.use("find_slots", day="tuesday")
    closed = "We are closed on Tuesday, November 24. No later day is free either."
    assert answer == f"REFUSED: {closed} Our staff can help."


async def test_the_last_slot_of_a_day_is_taken(call: Conversation, store: Store) -> None:
    """Who comes second for the only time of a day is told of the next day."""
    call.state.business = business().model_copy(update={"slot_minutes": 240})
    slot, other = await call.offered("tuesday")
    rival = AppointmentBook(store, call.state.business)
    for number, taken in enumerate(slots_of(call.state.business, TUESDAY)):
        await rival.reserve(Reservation(taken, "Bob", None, "other", f"k{number}"), now=FRIDAY_NOON)
    for wanted in (slot, other):
        answer = await call.use("book_appointment", slot_id=wanted, name="Ada")
        assert answer.endswith(
            "has just been taken. Tuesday, November 24 is fully booked. "
            "The next day with free times is Wednesday, November 25."
        )


async def test_an_offered_time_is_booked(call: Conversation, store: Store) -> None:
    """The patient gets a reference, and the slot is gone."""
    slot, *_ = await call.offered("tuesday")
    booked = await call.agreed("book_appointment", slot_id=slot, name=" Ada\n Byron ")
    assert json.loads(booked) == {
        "reference": "RC-1001",
        "spoken": "Tuesday, November 24 at 9 AM",
        "name": "Ada Byron",
    }
    (appointment,) = await AppointmentBook(store, business()).of_call("call-1")
    assert appointment.phone == "+12025550199"
    assert slot not in await call.offered("tuesday")


async def test_booking_again_is_the_same_booking(call: Conversation, store: Store) -> None:
    """A model that loops books once, by the same tool call or a new one."""
    slot, other, *_ = await call.offered("tuesday")
    wishes = [("f1", slot, "Ada Byron"), ("f1", other, "Ada Byron"), ("f2", slot, "ada byron")]
    answers = {
        await call.agreed("book_appointment", tool_call, slot_id=wanted, name=name)
        for tool_call, wanted, name in wishes
    }
    assert len(answers) == 1
    assert len(await AppointmentBook(store, business()).of_call("call-1")) == 1


async def test_nobody_is_told_that_a_number_was_changed(call: Conversation, store: Store) -> None:
    """The booking stays as it was, and the model hears so."""
    slot, *_ = await call.offered("Tuesday")
    await call.agreed("book_appointment", slot_id=slot, name="Jane Doe")
    wish = {"slot_id": slot, "name": "Jane Doe", "phone": "202 555 0111"}
    answer = await call.agreed("book_appointment", **wish)
    assert answer.startswith("REFUSED: RC-1001 is booked already with another phone number")
    (booked,) = await AppointmentBook(store, business()).of_call("call-1")
    assert booked.phone == "+12025550199"


async def test_nothing_is_booked_before_the_caller_agrees(call: Conversation, store: Store) -> None:
    """The first answer says what to read back, with a number only if the caller gave one."""
    slot, *_ = await call.offered("tuesday")
    wish = {"slot_id": slot, "name": "Ada Byron", "phone": "202-555-0142"}
    answer = await call.use("book_appointment", **wish)
    assert answer.startswith(
        "REFUSED: Not done yet. Read this back and ask whether it is right: "
        "an appointment on Tuesday, November 24 at 9 AM for Ada Byron"
    )
    assert "0142" in answer.replace(" ", "")
    call.hear(Role.AGENT, "Tuesday, November 24 at 9 AM for Ada Byron, 202 555 0143?")
    call.hear(Role.CALLER, "Yes.")
    assert (await call.use("book_appointment", **wish)).startswith("REFUSED: Not done yet.")
    assert await AppointmentBook(store, business()).of_call("call-1") == []


async def test_a_chosen_slot_is_kept_until_the_caller_agrees(
    call: Conversation, store: Store
) -> None:
    """Nobody else is promised it meanwhile, nor offered it; after three minutes they are."""
    slot, *_ = await call.offered("tuesday")
    async with calling(store, TOOLS, "call-2") as rival:
        assert slot in await rival.offered("tuesday")
        await call.use("book_appointment", slot_id=slot, name="Ada Byron")
        taken = await rival.agreed("book_appointment", slot_id=slot, name="Bob Smith")
        assert "9 AM has just been taken" in taken
        assert slot not in await rival.offered("tuesday")
        assert isinstance(rival.clock, SetClock)
        rival.clock.moment += HOLD
        assert "RC-1001" in await rival.agreed("book_appointment", slot_id=slot, name="Bob Smith")
    answer = await call.agreed("book_appointment", slot_id=slot, name="Ada Byron")
    assert "has just been taken" in answer


async def test_a_call_keeps_one_slot_at_a_time(call: Conversation, store: Store) -> None:
    """A caller who changes their mind gives back the first."""
    first, second, *_ = await call.offered("tuesday")
    for slot in (first, second):
        await call.use("book_appointment", slot_id=slot, name="Ada Byron")
    async with calling(store, TOOLS, "call-2") as rival:
        offered = await rival.offered("tuesday")
    assert first in offered
    assert second not in offered


async def test_an_invented_slot_is_refused(call: Conversation) -> None:
    """Only what was offered during this call can be booked, however real it looks."""
    answer = await call.use("book_appointment", slot_id="s_20261124_0900", name="Ada")
    assert answer.startswith("REFUSED: No such slot was offered.")


async def test_a_taken_slot_is_refused_with_others(call: Conversation, store: Store) -> None:
    """Who comes second is offered what is near, and can book it at once."""
    slot, *_ = await call.offered("tuesday")
    async with calling(store, TOOLS, "call-2") as rival:
        await rival.offered("tuesday")
        await rival.agreed("book_appointment", slot_id=slot, name="Ada Byron")
    answer = await call.use("book_appointment", slot_id=slot, name="Ada Byron")
    assert answer == (
        "REFUSED: Tuesday, November 24 at 9 AM has just been taken. Still free on Tuesday, "
        "November 24: 9:30 AM (slot_id s_20261124_0930), 10 AM (slot_id s_20261124_1000), "
        "10:30 AM (slot_id s_20261124_1030) and 11 AM (slot_id s_20261124_1100)."
    )
    again = await call.agreed("book_appointment", slot_id="s_20261124_0930", name="Ada")
    assert json.loads(again)["reference"] == "RC-1002"


async def test_a_time_that_has_passed_is_refused(call: Conversation) -> None:
    """A caller who thinks too long is offered what is left of the day."""
    slot, *_ = await call.offered("today")
    assert isinstance(call.clock, SetClock)
    call.clock.moment = datetime(2026, 11, 20, 20, 45, tzinfo=UTC)
    answer = await call.use("book_appointment", slot_id=slot, name="Ada")
    assert answer.startswith(
        "REFUSED: That time has passed. Still free on Friday, November 20: 4 PM"
    )


@pytest.mark.parametrize(
    ("said", "phone"),
    [
        ("202-555-0142", "+12025550142"),
        ("+44 20 7946 0958", "+442079460958"),
        ("  ", "+12025550199"),
    ],
)
async def test_phone_numbers_become_e164(
    call: Conversation, store: Store, said: str, phone: str
) -> None:
    """A national number is one of the line's country; none at all is the caller's own."""
    slot, *_ = await call.offered("tuesday")
    await call.agreed("book_appointment", slot_id=slot, name="Ada", phone=said)
    (appointment,) = await AppointmentBook(store, business()).of_call("call-1")
    assert appointment.phone == phone


@pytest.mark.parametrize(
    ("name", "phone", "reason"),
    [
        ("", "", "The name is missing"),
        ("12 ;", "", "The name is missing"),
        ("x" * 101, "", "The name is too long"),
        ("Ada", "555", "That phone number is not complete"),
        ("Ada", "call me", "That phone number is not complete"),
        ("Ada", "9" * 60, "That phone number is not complete"),
    ],
)
async def test_senseless_details_book_nothing(
    call: Conversation, name: str, phone: str, reason: str
) -> None:
    """The model is told what to ask for."""
    slot, *_ = await call.offered("tuesday")
    answer = await call.use("book_appointment", slot_id=slot, name=name, phone=phone)
    assert answer.startswith(f"REFUSED: {reason}")
    assert slot in await call.offered("tuesday")


async def test_a_broken_store_is_an_apology(
    call: Conversation, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller hears what does not work; the log has the reason, with the call."""
    await store.close()
    answer = await call.use("find_slots", day="tuesday")
    assert answer == (
        "REFUSED: The calendar cannot be reached right now. Say so, and offer to take a message."
    )
    assert ("call call-1: no calendar: the store has been closed", logging.WARNING) in [
        (r.message, r.levelno) for r in caplog.records
    ]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.info.name)
def test_the_model_is_told_what_each_argument_is(tool: FunctionTool[..., Any]) -> None:
    """Every tool and every argument has a description; the context is not an argument."""
    schema = build_legacy_openai_schema(tool, internally_tagged=True)
    assert schema["description"]
    arguments = schema["parameters"]["properties"]
    assert all(argument["description"] for argument in arguments.values())
    assert "ctx" not in arguments
    required = {"find_slots": ["day"], "book_appointment": ["slot_id", "name"]}
    assert schema["parameters"]["required"] == required[schema["name"]]
