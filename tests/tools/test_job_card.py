from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from tests.peers.tool_calls import Conversation
from tests.samples import business
from thirdring.calls import Role
from thirdring.outcome import OutcomeSheet
from thirdring.settings import StaffMember
from thirdring.store.notifications import NotificationQueue
from tools.appointments import find_slots
from tools.job_card import JobCard, book_appointment, confirm_job, emergency_in, note_job

JANUARY = datetime(2026, 1, 12, 9, tzinfo=UTC)
JULY = datetime(2026, 7, 13, 9, tzinfo=UTC)
LEAK = {
    "service": "leaking tap",
    "address": "12 Oak Street",
    "when": "Tuesday morning",
    "name": "Ann Baker",
    "phone": "202 555 0123",
}
READ_BACK = "A leaking tap at 12 Oak Street, Tuesday morning, Ann Baker, 2 0 2, 5 5 5, 0 1 2 3?"


TOOLS = [find_slots, book_appointment, note_job, confirm_job]


@pytest.fixture
def call(call: Conversation) -> Conversation:
    """Return a call to a business whose plumber is told of things."""
    plumber = StaffMember(name="sam", notify=(SecretStr("json://127.0.0.1"),))
    state = call.state
    state.business = business().model_copy(update={"staff": {"sam": plumber}})
    state.outcome = OutcomeSheet(JobCard, lambda _card: None)
    return call


def card(call: Conversation) -> JobCard:
    value = call.state.outcome.value
    assert isinstance(value, JobCard)
    return value


async def told(call: Conversation) -> list[tuple[str, bool]]:
    """Return the titles of what staff are told by now, and whether at once."""
    found = await NotificationQueue(call.state.store).of_call(call.state.leg.call_id)
    return [(notice.title, notice.urgent) for notice in found]


async def test_what_is_on_the_card_is_not_asked_again(call: Conversation) -> None:
    """Each answer says all that is known and all that is missing."""
    await call.use("note_job", service="leaking tap", when="Tuesday")
    noted = json.loads(await call.use("note_job", address="12 Oak Street"))
    assert noted["known"] == {
        "service": "leaking tap",
        "when": "Tuesday",
        "address": "12 Oak Street",
    }
    assert noted["missing"] == ["name", "phone", "confirmed"]


async def test_a_number_is_kept_as_it_can_be_dialled(call: Conversation) -> None:
    """One without its country's code is of the line's country."""
    await call.use("note_job", phone="(202) 555-0123")
    assert card(call).phone == "+12025550123"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"phone": "555"}, "That phone number is not complete"),
        ({"name": "?!"}, "The name is missing"),
        ({"confirmed": True}, "There is no argument confirmed"),
        ({"reference": "RC-1"}, "There is no argument reference"),
        ({"service": "x" * 300}, "service: String should have at most 200"),
    ],
)
async def test_what_nobody_can_act_on_is_refused(
    call: Conversation, given: dict[str, Any], why: str
) -> None:
    """The card stays as it was; the model hears what to ask."""
    assert (await call.use("note_job", **given)).startswith(f"REFUSED: {why}")
    assert card(call) == JobCard()


@pytest.mark.parametrize(
    ("words", "at", "why"),
    [
        ("I can smell gas in the kitchen", JULY, "gas leak"),
        ("there's a gas leak", JULY, "gas leak"),
        ("it smells of gas here", JULY, "gas leak"),
        ("a pipe has burst", JULY, "burst pipe"),
        ("We have a burst pipe!", JULY, "burst pipe"),
        ("the cellar is flooding", JULY, "flooding"),
        ("water is pouring through the ceiling", JULY, "flooding"),
        ("the carbon monoxide alarm went off", JULY, "carbon monoxide"),
        ("the socket is sparking", JULY, "fire or smoke"),
        ("sewage comes up in the shower", JULY, "sewage"),
        ("we have no heating", JANUARY, "no heating in winter"),
        ("the heating has stopped", JANUARY, "no heating in winter"),
        ("we have no heating", JULY, None),
        ("the tap drips", JANUARY, None),
        ("my gas boiler needs its yearly service", JANUARY, None),
        ("I want to heat my pool", JANUARY, None),
    ],
)
def test_what_cannot_wait(words: str, at: datetime, why: str | None) -> None:
    """Danger and growing damage are told by rule; no heating is one in winter only."""
    assert emergency_in(words, at) == why


async def test_an_emergency_is_told_at_once_and_where_it_is(call: Conversation) -> None:
    """Staff hear of it before the call is over, and once more when they know where to go."""
    noted = json.loads(await call.use("note_job", service="burst pipe"))
    assert await told(call) == [("URGENT: burst pipe", True)]
    assert "main tap" in noted["advice"]
    await call.use("note_job", name="Ann Baker")
    await call.use("note_job", address="12 Oak Street")
    await call.use("note_job", phone="202 555 0123")
    expected = [("URGENT: burst pipe", True), ("URGENT: burst pipe, 12 Oak Street", True)]
    assert sorted(await told(call)) == expected


async def test_an_emergency_in_the_callers_words_is_none_of_the_models_choice(
    call: Conversation,
) -> None:
    """A model that plays it down flags it all the same."""
    call.hear(Role.CALLER, "I think I smell gas.")
    await call.use("note_job", service="boiler check", urgent=False)
    assert (card(call).urgent, card(call).urgent_why) == (True, "gas leak")
    await call.use("note_job", urgent=False)
    assert card(call).urgent


async def test_the_model_may_find_something_urgent_by_itself(call: Conversation) -> None:
    """What no rule foresees is told at once too."""
    await call.use("note_job", service="locked out", urgent=True, urgent_why="a baby inside")
    assert await told(call) == [("URGENT: locked out", True)]


async def test_what_can_wait_is_not_told_before_the_call_is_over(call: Conversation) -> None:
    """The courier sends the card with the record."""
    await call.use("note_job", **LEAK)
    assert await told(call) == []


async def test_a_card_is_confirmed_when_all_was_read_back(call: Conversation) -> None:
    """Only then is it complete."""
    await call.use("note_job", **LEAK)
    assert (await call.use("confirm_job")).startswith("REFUSED: Not done yet. Read this back")
    assert card(call).missing() == ("confirmed",)
    call.hear(Role.AGENT, READ_BACK)
    call.hear(Role.CALLER, "Yes.")
    assert json.loads(await call.use("confirm_job"))["missing"] == []
    assert card(call).confirmed


@pytest.mark.parametrize(
    ("read_back", "answer"),
    [
        (READ_BACK, "No, it is 14 Oak Street."),
        (READ_BACK.replace("12 Oak", "14 Oak"), "Yes."),
        (READ_BACK.replace("0 1 2 3", "0 1 2 4"), "Yes."),
        (READ_BACK.replace("Ann Baker", "Ann"), "Yes."),
        (READ_BACK.replace("Tuesday morning", "Wednesday"), "Yes."),
    ],
)
async def test_a_card_is_not_confirmed_by_less(
    call: Conversation, read_back: str, answer: str
) -> None:
    """A wrong house costs a trade a day."""
    await call.use("note_job", **LEAK)
    call.hear(Role.AGENT, read_back)
    call.hear(Role.CALLER, answer)
    assert (await call.use("confirm_job")).startswith("REFUSED: Not done yet.")
    assert not card(call).confirmed


async def test_what_changes_later_is_confirmed_anew(call: Conversation) -> None:
    """A yes was to what was read back then."""
    await call.use("note_job", **LEAK)
    call.hear(Role.AGENT, READ_BACK)
    call.hear(Role.CALLER, "Yes.")
    await call.use("confirm_job")
    await call.use("note_job", address="14 Oak Street")
    assert card(call).missing() == ("confirmed",)


async def test_a_card_with_holes_cannot_be_confirmed(call: Conversation) -> None:
    """The model hears what to ask for."""
    await call.use("note_job", service="leaking tap", name="Ann Baker")
    assert await call.use("confirm_job") == (
        "REFUSED: Still missing on the job card: address, when and phone. Ask for it."
    )


async def test_a_booked_time_stands_on_the_card(call: Conversation) -> None:
    """Time, reference and name come from the appointment book, not from the model."""
    slot, *_ = await call.offered("Tuesday")
    booked = await call.agreed("book_appointment", slot_id=slot, name="Ann Baker")
    filled = card(call)
    assert filled.reference == json.loads(booked)["reference"]
    assert (filled.when, filled.name) == ("Tuesday, November 24 at 9 AM", "Ann Baker")


def test_staff_read_the_whole_card() -> None:
    """Title and body hold all that they need to go."""
    summary = JobCard(**LEAK, urgent=True, urgent_why="flooding", confirmed=True).summary()
    assert summary is not None
    assert (summary.title, summary.urgent) == ("URGENT: leaking tap, 12 Oak Street", True)
    assert summary.body.splitlines() == [
        "Urgent: flooding",
        "Service: leaking tap",
        "Where: 12 Oak Street",
        "When: Tuesday morning",
        "Name: Ann Baker",
        "Phone: 202 555 0123",
    ]


def test_staff_read_what_is_missing() -> None:
    """A caller who hung up half way is worth a call."""
    summary = JobCard(service="leaking tap", phone="+12025550123").summary()
    assert summary is not None
    assert summary.body.splitlines()[-2:] == [
        "Missing: address, when, name",
        "The caller has not confirmed this.",
    ]


def test_a_blank_card_is_told_to_nobody() -> None:
    """A wrong number is no job."""
    assert JobCard().summary() is None
