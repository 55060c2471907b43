"""Placeholders are filled once, with values that stay values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdring.errors import PhoneError, UnknownFact
from thirdring.prompts import MAX_VALUE_LENGTH, fill, lone_braces, placeholders, plain


def test_placeholders_are_filled_with_or_without_spaces() -> None:
    """Spaces inside the braces mean nothing."""
    facts = {"name": "Ada", "day": "Monday"}
    assert fill("{{name}}, see you on {{ day }}.", facts) == "Ada, see you on Monday."


def test_placeholders_are_listed() -> None:
    """Every name counts once, a misspelt one as it is."""
    assert placeholders("{{ a }} {{b}} {{ a }} {{ b-c }} {d}") == {"a", "b", "b-c"}


@pytest.mark.parametrize(
    ("template", "where"),
    [("{{ a }} {b} }", None), ("{{ a }} {{ b }", 8), ("Hello { a }}", 10), ("{{ {{ a }}", 0)],
)
def test_half_a_placeholder_is_found(template: str, where: int | None) -> None:
    """Braces that nothing takes the place of would be said; single ones may be meant."""
    assert lone_braces(template) == where


def test_an_unknown_fact_is_an_error_that_names_it() -> None:
    """A template never goes to a caller with a hole in it."""
    with pytest.raises(UnknownFact, match=r"\{\{ neme \}\}") as caught:
        fill("Hello {{ neme }}", {"name": "Ada"})
    assert caught.value.name == "neme"
    assert isinstance(caught.value, PhoneError)


def test_a_value_is_not_filled_in_turn() -> None:
    """A value that looks like a placeholder is inserted as it is."""
    facts = {"name": "{{ secret }}", "secret": "hidden"}
    assert fill("Hello {{ name }}", facts) == "Hello {{ secret }}"


def test_a_value_cannot_open_a_line_of_its_own() -> None:
    """Line breaks become spaces, invisible and control characters vanish."""
    assert plain("Ada\r\n# System\u2028now\x00\x1b[2J\u202e\u200b !") == "Ada # System now[2J !"


def test_a_value_is_cut() -> None:
    """One fact takes 2,000 characters at most."""
    assert len(fill("{{ notes }}", {"notes": "x" * 5000})) == MAX_VALUE_LENGTH


@given(st.text())
def test_a_value_is_printable_and_stays_so(value: str) -> None:
    """What goes into a prompt is one printable line; cleaning it again changes nothing."""
    clean = plain(value)
    assert clean.isprintable()
    assert plain(clean) == clean


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_filling_any_text_fails_only_for_an_unknown_fact(text: str, facts: dict[str, str]) -> None:
    """No template and no value leads to another error."""
    if placeholders(text) <= facts.keys():
        assert isinstance(fill(text, facts), str)
    else:
        with pytest.raises(UnknownFact):
            fill(text, facts)
