"""Callers who want to be called back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.peers.staff import with_staff
from tests.peers.tool_calls import Conversation
from thirdring.outcome import Outcome, OutcomeSheet
from thirdring.store import Store
from thirdring.store.callbacks import CallbackBook, CallbackRequest
from thirdring.store.notifications import NotificationQueue
from tools.callback import Callback, request_callback


class Question(Outcome):
    callback: Callback | None = None


TOOLS = [request_callback]


@pytest.fixture
def call(call: Conversation) -> Conversation:
    with_staff(call.state)
    call.state.outcome = OutcomeSheet(Question, lambda _value: None)
    return call


async def asked(store: Store) -> CallbackRequest:
    (found,) = await CallbackBook(store).of_call("call-1")
    return found


async def test_when_is_kept_in_words_and_as_a_moment(call: Conversation, store: Store) -> None:
    """Two is in the afternoon, for that is when the clinic is open."""
    await call.agreed("request_callback", when="Monday at two", name="Ann Smith", reason="a bill")
    found = await asked(store)
    assert (found.wanted, found.wanted_at) == (
        "Monday at two",
        datetime(2026, 11, 23, 19, 0, tzinfo=UTC),
    )
    assert (found.number, found.name, found.reason) == ("+12025550199", "Ann Smith", "a bill")


async def test_words_without_a_time_are_kept_as_they_are(call: Conversation, store: Store) -> None:
    """Nobody makes up a time for "whenever you like"."""
    answer = await call.agreed("request_callback", when="tomorrow morning")
    assert answer.startswith("Noted: tomorrow morning.")
    assert (await asked(store)).wanted_at is None


async def test_the_outcome_says_it(call: Conversation) -> None:
    """Asked for a call back, when, and at which number."""
    await call.agreed("request_callback", when="Monday at 9 AM", phone="202-555-0111")
    assert call.state.outcome.value == Question(
        callback=Callback(
            when="Monday at 9 AM",
            at=datetime(2026, 11, 23, 14, 0, tzinfo=UTC),
            number="+12025550111",
        )
    )


async def test_a_workflow_without_such_an_outcome_may_use_it(
    call: Conversation, store: Store
) -> None:
    """The request is kept all the same."""
    call.state.outcome = OutcomeSheet(Outcome, lambda _value: None)
    await call.agreed("request_callback", when="any time")
    assert (await asked(store)).wanted == "any time"


async def test_staff_are_told(call: Conversation, store: Store) -> None:
    """Whom to call, when, and about what."""
    await call.agreed("request_callback", when="Monday at two", name="Ann Smith", reason="a bill")
    (found,) = await NotificationQueue(store).of_call("call-1")
    assert found.title == "Call back Ann Smith"
    assert found.body.startswith(
        "Ann Smith, +12025550199, Monday, November 23 at 2 PM.\nAbout: a bill\n"
    )


async def test_the_last_time_counts(call: Conversation, store: Store) -> None:
    """A caller may change their mind."""
    await call.agreed("request_callback", when="Monday at two")
    await call.agreed("request_callback", when="Tuesday at two")
    assert (await asked(store)).wanted == "Tuesday at two"


@pytest.mark.parametrize(
    ("when", "reason"),
    [
        ("today at 9 AM", "9 AM on Friday, November 20 has passed."),
        ("", "There are no words in the time."),
        ("Monday at 25:00", "'at 25:00' is no time of day."),
    ],
)
async def test_a_time_that_cannot_be_is_refused(
    call: Conversation, store: Store, when: str, reason: str
) -> None:
    """The model asks again."""
    answer = await call.agreed("request_callback", when=when)
    assert answer.startswith(f"REFUSED: {reason}")
    assert await CallbackBook(store).of_call("call-1") == []


async def test_a_hidden_caller_has_to_give_a_number(call: Conversation) -> None:
    """There is none to fall back on."""
    call.state.leg = call.state.leg.model_copy(update={"caller": None})
    answer = await call.agreed("request_callback", when="any time")
    assert answer == (
        "REFUSED: Their number is hidden. Ask at which number they want to be called."
    )


async def test_another_number_is_read_back(call: Conversation, store: Store) -> None:
    """Digit by digit, before anything is kept."""
    answer = await call.use("request_callback", when="any time", phone="2025550111")
    assert "2 0 2, 5 5 5, 0 1 1 1" in answer
    assert await CallbackBook(store).of_call("call-1") == []


async def test_without_its_store_nothing_is_promised(call: Conversation, store: Store) -> None:
    """The model hears that it has not worked."""
    await store.close()
    answer = await call.agreed("request_callback", when="any time")
    assert answer.startswith("REFUSED: The request cannot be noted right now.")
    assert call.state.outcome.value == Question()
