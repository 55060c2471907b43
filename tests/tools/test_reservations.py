"""Tables: what is asked of a restaurant, and what of its answer is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import JsonValue

from tests.peers.tool_calls import FRIDAY_NOON, Conversation
from thirdring.calls import Role
from thirdring.outcome import OutcomeSheet
from thirdring.store import Store
from thirdring.store.errands import Errand, Wish, add, find, open_errands
from tools.reservations import Reservation, note_answer, request_reservation

WISH: dict[str, Any] = {
    "restaurant": "Bella Vista",
    "when": "Tuesday at half past seven",
    "people": "four",
    "guest_name": "Mary Jones",
}


TOOLS = [request_reservation, note_answer]


@pytest.fixture
def call(call: Conversation) -> Conversation:
    call.state.outcome = OutcomeSheet(Reservation, lambda _value: None)
    return call


@pytest.fixture
async def restaurant(call: Conversation, store: Store) -> Conversation:
    """Return the call to the restaurant that was wished for."""
    details: dict[str, JsonValue] = {
        "restaurant": "Bella Vista",
        "restaurant_phone": "+12025550170",
        "starts_at": "2026-11-24T19:30:00-05:00",
        "when": "Tuesday, November 24 at 7:30 PM",
        "party_size": 4,
        "guest_name": "Mary Jones",
        "contact_phone": None,
        "preferences": "",
    }
    wish = Wish("riverside_clinic", "concierge", "+12025550170", details, "call-0", "k")
    call.state.errand = await store.write(lambda connection: add(connection, wish, now=FRIDAY_NOON))
    return call


async def errand(store: Store) -> Errand:
    found = await find(store, "riverside_clinic", "E-1001")
    assert found is not None
    return found


async def test_a_wish_becomes_an_errand_under_an_id_of_ours(
    call: Conversation, store: Store
) -> None:
    """Day and time are understood, the number is that of the call, seven is in the evening."""
    answer = json.loads(await call.agreed("request_reservation", **WISH))
    assert answer["errand"] == "E-1001"
    assert answer["spoken"] == "Tuesday, November 24 at 7:30 PM"
    details = (await errand(store)).details
    assert details["starts_at"] == "2026-11-24T19:30:00-05:00"
    assert (details["party_size"], details["contact_phone"]) == (4, "+12025550199")
    assert call.state.outcome.value == Reservation(
        errand="E-1001",
        status="requested",
        restaurant="Bella Vista",
        when="Tuesday, November 24 at 7:30 PM",
        party_size=4,
        guest_name="Mary Jones",
    )


async def test_nobody_is_called_without_a_yes(call: Conversation, store: Store) -> None:
    """Whatever the model says, the user has to have heard all of it and agreed."""
    call.hear(Role.AGENT, "A table at Bella Vista for four on Tuesday at half past seven?")
    call.hear(Role.CALLER, "Yes.")
    answer = await call.use("request_reservation", **WISH)
    assert answer.startswith("REFUSED: Not done yet. Read this back")
    assert "Mary Jones" in answer
    assert await open_errands(store, "riverside_clinic") == []


async def test_a_day_is_not_how_many_come(call: Conversation, store: Store) -> None:
    """The 4 of December 4 says nothing of four people."""
    said = "A table at Bella Vista for {} people on Friday, December 4 at 7:30 PM, Mary Jones?"
    wish = WISH | {"when": "December 4 at 7:30 PM"}
    for people, agreed in (("2", False), ("4", True)):
        call.hear(Role.AGENT, said.format(people))
        call.hear(Role.CALLER, "Yes.")
        answer = await call.use("request_reservation", **wish)
        assert answer.startswith("REFUSED: Not done yet.") is not agreed
    assert len(await open_errands(store, "riverside_clinic")) == 1


async def test_the_same_tool_call_wishes_once(call: Conversation, store: Store) -> None:
    """A model that repeats itself, or a connection that does, makes one errand."""
    first = await call.agreed("request_reservation", "t1", **WISH)
    assert await call.use("request_reservation", "t1", **WISH) == first
    assert len(await open_errands(store, "riverside_clinic")) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"restaurant": "..."}, "name of the restaurant is missing"),
        ({"when": "soon"}, "The day must be"),
        ({"when": "Tuesday"}, "is no time of day"),
        ({"when": "today at 11 am"}, "has passed"),
        ({"people": "a few"}, "how many people"),
        ({"people": "31"}, "how many people"),
        ({"people": "4 or 5"}, "how many people"),
        ({"guest_name": ""}, "name for the reservation is missing"),
        ({"restaurant_phone": "555"}, "not complete"),
        ({"preferences": "card 4111 1111 1111 1111"}, "never kept"),
        ({"preferences": "x" * 301}, "At most 300"),
        ({"tip": "5"}, "tip"),
    ],
)
async def test_what_is_no_wish_is_refused(
    call: Conversation, store: Store, change: dict[str, str], reason: str
) -> None:
    """Each with a short reason that the model can act on."""
    answer = await call.use("request_reservation", **(WISH | change))
    assert answer.startswith("REFUSED: ")
    assert reason in answer
    assert await open_errands(store, "riverside_clinic") == []


async def test_a_confirmation_carries_the_restaurants_words(
    restaurant: Conversation, store: Store
) -> None:
    """The quote is the whole turn as it was written down; the errand is done."""
    restaurant.hear(Role.CALLER, "One moment.")
    said = "Yes, you are booked for 7:30, table for four. Your number is A B four two."
    restaurant.hear(Role.CALLER, said)
    answer = await restaurant.use(
        "note_answer", answer="confirmed", quote="you are booked for 7:30", reference="AB42"
    )
    assert json.loads(answer)["noted"] == "confirmed"
    outcome = restaurant.state.outcome.value
    assert isinstance(outcome, Reservation)
    assert (outcome.status, outcome.quote, outcome.reference) == ("confirmed", said, "AB42")
    assert outcome.missing() == ()
    done = await errand(store)
    assert done.state == "confirmed"
    assert done.result is not None
    assert done.result["quote"] == said


def answering(answer: str, quote: str, **more: str) -> dict[str, str]:
    """Return what a model notes as the restaurant's answer."""
    return {"answer": answer, "quote": quote, **more}


NOT_SAID, NOT_YES = "Nobody has said these words", "do not confirm"
INVENTED = {
    "words that nobody said": (
        "Hold on please.",
        answering("confirmed", "yes, you are booked"),
        NOT_SAID,
    ),
    "the agent's own words": ("Pardon?", answering("confirmed", "Is a table possible"), NOT_SAID),
    "no words": ("Yes.", answering("confirmed", " "), NOT_SAID),
    "a refusal": ("Sorry, we are fully booked.", answering("confirmed", "booked"), NOT_YES),
    "a question": ("Sure, for how many people?", answering("confirmed", "sure"), NOT_YES),
    "somebody who has to ask": (
        "Okay, I need to confirm with the manager if that works.",
        answering("confirmed", "okay"),
        NOT_YES,
    ),
    "a pause": (
        "Let me look at the book.",
        answering("confirmed", "let me look at the book"),
        NOT_YES,
    ),
    "another time": (
        "Yes, you are booked for 9 pm.",
        answering("confirmed", "you are booked"),
        "another time than Tuesday, November 24 at 7:30 PM",
    ),
    "another day": (
        "Okay, booked for November 25.",
        answering("confirmed", "booked for November 25"),
        "another day",
    ),
    "an invented reference": (
        "Yes, it is reserved.",
        answering("confirmed", "it is reserved", reference="BV-7731"),
        "have not said this reference",
    ),
    "an invented time": (
        "We could do 9 pm instead.",
        answering("alternative", "we could do 9 pm", alternative="8 pm"),
        NOT_SAID,
    ),
    "no time": (
        "Some other day perhaps.",
        answering("alternative", "some other day", alternative="some other day"),
        "named no other time",
    ),
    "another answer": ("Yes.", answering("paid", "yes"), "one of confirmed"),
}


@pytest.mark.parametrize("name", INVENTED)
async def test_nothing_is_believed_that_was_not_said(
    restaurant: Conversation, store: Store, name: str
) -> None:
    """A model that makes up an answer, or bends one, is refused; the errand stays open."""
    said, arguments, reason = INVENTED[name]
    restaurant.hear(Role.AGENT, "Is a table possible on Tuesday at 7:30 PM?")
    restaurant.hear(Role.CALLER, said)
    answer = await restaurant.use("note_answer", **arguments)
    assert answer.startswith("REFUSED: ")
    assert reason in answer
    assert (await errand(store)).state == "open"
    assert restaurant.state.outcome.value == Reservation()


@pytest.mark.parametrize(
    ("since", "noted"),
    [
        ("You are welcome. Anything else?", True),
        ("Sorry, what was the name?", True),
        ("Oh, wait, I am afraid we are full after all.", False),
        ("Unfortunately that table has just gone.", False),
    ],
)
async def test_a_confirmation_may_be_taken_back(
    restaurant: Conversation, store: Store, since: str, noted: bool
) -> None:
    """The words that confirmed it are worth nothing after that."""
    restaurant.hear(Role.CALLER, "Yes, you are booked.")
    restaurant.hear(Role.AGENT, "Thank you.")
    restaurant.hear(Role.CALLER, since)
    answer = await restaurant.use("note_answer", answer="confirmed", quote="you are booked")
    assert answer.startswith("REFUSED: They have said something else since") is not noted
    assert ((await errand(store)).state == "confirmed") is noted


async def test_another_time_is_an_offer_and_no_reservation(
    restaurant: Conversation, store: Store
) -> None:
    """What the restaurant offers is kept in its own words."""
    restaurant.hear(Role.CALLER, "We are full at half past seven, but we could do 9 pm instead.")
    answer = await restaurant.use(
        "note_answer", answer="alternative", quote="we could do 9 pm", alternative="9 pm"
    )
    assert json.loads(answer)["noted"] == "alternative"
    done = await errand(store)
    assert (done.state, (done.result or {})["alternative"]) == ("alternative", "9 pm")


async def test_a_call_without_a_wish_notes_no_answer(call: Conversation) -> None:
    """Somebody who was not called for a table cannot confirm one."""
    call.hear(Role.CALLER, "Yes, booked.")
    answer = await call.use("note_answer", answer="confirmed", quote="yes, booked")
    assert answer == "REFUSED: This call is about no reservation that was asked for."


def test_an_answer_without_its_words_is_not_complete() -> None:
    """The record says that the quote is missing."""
    assert Reservation(errand="E-1001", status="confirmed").missing() == ("quote",)
    assert Reservation(status="requested").missing() == ("errand",)
