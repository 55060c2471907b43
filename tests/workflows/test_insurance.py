"""What the insurance agency notices of its callers by rule."""

from __future__ import annotations

import pytest

from thirdring import workflow
from workflows.insurance import InsuranceOutcome, asks_to_be_called


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Please call me back tomorrow.", True),
        ("Can you have somebody call me?", True),
        ("I'd like a callback.", True),
        ("Could you ring me on Monday?", True),
        ("Give me a call when you know.", True),
        ("I am returning your call.", False),
        ("I called you last week.", False),
        ("They call me Bob.", False),
        ("What do you call this cover?", False),
    ],
)
def test_a_wish_to_be_called_is_noticed(words: str, expected: bool) -> None:
    """In the caller's own words, whatever the model makes of them."""
    assert asks_to_be_called(words) is expected


def test_a_call_back_that_was_not_agreed_to_is_missing() -> None:
    """Staff are told that somebody waits."""
    outcome = InsuranceOutcome(topic="claim", callback_asked=True)
    assert outcome.missing() == ("callback",)
    summary = outcome.summary()
    assert summary is not None
    assert summary.title == "A caller waits for a call back"


def test_a_question_that_was_answered_is_told_to_nobody() -> None:
    """They have had what they called for."""
    assert InsuranceOutcome(topic="payment", answered=True).summary() is None


def test_replies_are_short() -> None:
    """150 tokens, as the agency wants it."""
    assert workflow.discover()["insurance"].reply_tokens == 150
