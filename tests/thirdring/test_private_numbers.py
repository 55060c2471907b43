"""Numbers that nobody may keep are found, others are left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdring.private_numbers import holds_private_number

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def card(body: str) -> str:
    """Return the digits with their check digit (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * 2 for digit in body[::-2]]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    total += sum(int(digit) for digit in body[-2::-2])
    return f"{body}{-total % 10}"


bodies = st.text("0123456789", min_size=12, max_size=18).filter(lambda text: text[0] != "0")


@given(bodies, st.sampled_from(["", " ", "-", ". ", " - "]), st.integers(1, 6))
def test_a_card_is_found_however_it_is_written(body: str, gap: str, size: int) -> None:
    """In groups of any size, within a sentence."""
    digits = card(body)
    groups = [digits[at : at + size] for at in range(0, len(digits), size)]
    assert holds_private_number(f"My number is {gap.join(groups)}, please.")


@given(bodies)
def test_a_card_is_found_when_it_is_spelled_out(body: str) -> None:
    """As a model writes down what it hears."""
    spelled = " ".join(WORDS[int(digit)] for digit in card(body))
    assert holds_private_number(f"It is {spelled}.")


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111",
        "three seven eight two, eight two two four six three, one oh oh oh five",
        "078-05-1120",
        "my social security number is 078051120",
        "the CVV is 123",
        "security code: one two three",
        "her PIN code is 4711",
    ],
)
def test_these_may_not_be_kept(text: str) -> None:
    """Cards, their codes, social security."""
    assert holds_private_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "Call +1 202 555 0199 or 202-555-0111.",
        "Order 4711-0815, reference RC-1042.",
        "Between 9 and 11 on November 24, 2026.",
        "12 Oak Street, apartment 5, 01103 Springfield.",
        "The water heater is a Rheem 40 from 2019.",
        "One or two of us come at three.",
        "Pin it to the door.",
        "",
    ],
)
def test_these_may_be_kept(text: str) -> None:
    """Phone numbers, orders, dates, addresses."""
    assert not holds_private_number(text)
