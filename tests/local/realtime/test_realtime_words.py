"""What is found in words as speech recognition writes them."""

from __future__ import annotations

from datetime import date

import pytest

from local.realtime import words
from local.realtime.sentences import pronounceable, sentences, split_off

SATURDAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("the nine thirty please", (9, 30)),
        ("The 9:30, please.", (9, 30)),
        ("the 9.30 please", (9, 30)),
        ("930", (9, 30)),
        ("half past nine", (9, 30)),
        ("quarter to ten", (9, 45)),
        ("at nine", (9, 0)),
        ("nine o'clock", (9, 0)),
        ("9 AM", (9, 0)),
        ("2 p.m. would be fine", (14, 0)),
        ("two thirty pm", (14, 30)),
        ("twelve forty five", (12, 45)),
        ("one thirty", (1, 30)),
        ("the first one", None),
        ("that one please", None),
        ("good morning", None),
        pytest.param("9" * 5000, None, id="endless"),
    ],
)
def test_times(text: str, time: tuple[int, int] | None) -> None:
    """A time is found in words and in digits, and not where there is none."""
    assert words.find_time(text) == time


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Can I book for Tuesday?", "tuesday"),
        ("on Tuesday's", "tuesday"),
        ("Next Wednesday at two", "next wednesday"),
        ("tomorrow", "2026-11-22"),
        ("November 24th", "2026-11-24"),
        ("the twenty fourth of november", "2026-11-24"),
        ("the 3rd of February", "2027-02-03"),
        ("on 2026-12-01", "2026-12-01"),
        ("some day", None),
    ],
)
def test_days(text: str, day: str | None) -> None:
    """A day is a weekday's name or a date that is not past."""
    assert words.find_day(text, SATURDAY) == day


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("My name is Ann Baker.", "Ann Baker"),
        ("It's Ann Baker, thanks.", "Ann Baker"),
        ("ann baker", "Ann Baker"),
        ("Yes, this is Mary-Jane O'Connor speaking.", "Mary-Jane O'Connor"),
        ("I'm not sure.", None),
        ("What is that for?", None),
    ],
)
def test_names(text: str, name: str | None) -> None:
    """A name that was asked for is found with or without words around it."""
    assert words.find_name(text, asked=True, bare=True) == name


def test_names_that_were_not_asked_for() -> None:
    """Only "my name is" gives one."""
    assert words.find_name("This is terrible.", asked=False, bare=False) is None
    assert words.find_name("Hi, my name's Ann Baker.", asked=False, bare=False) == "Ann Baker"


def test_phone_numbers() -> None:
    """Digits, words, "double" and "oh" make a number; a time does not."""
    assert words.find_phone("two oh two, five double five, 0142") == "2025550142"
    assert words.find_phone("plus one 202 555 0142") == "+12025550142"
    assert words.find_phone("at 9:30") is None


@pytest.mark.parametrize(
    ("text", "finished"),
    [
        ("Can I book an appointment?", True),
        ("The 9:30, please.", True),
        ("I would like to book for", False),
        ("My name is", False),
        ("It's 202 555", False),
        ("It's 202 555 0142", True),
        ("", False),
    ],
)
def test_unfinished_speech_is_recognised(text: str, finished: bool) -> None:
    """Dangling words and half a phone number ask for patience."""
    assert words.sounds_finished(text) is finished


def test_sentences_are_cut_where_they_end() -> None:
    """Not after abbreviations, initials or within times; at a colon or semicolon as well."""
    text = "Dr. A. Smith is in at 9:30 a.m. on Monday. Is that fine? Yes!"
    assert sentences(text) == [
        "Dr. A. Smith is in at 9:30 a.m. on Monday.",
        "Is that fine?",
        "Yes!",
    ]
    hours = "Our hours: Monday 9:30 AM to 5 PM; closed on Sunday."
    assert sentences(hours) == ["Our hours:", "Monday 9:30 AM to 5 PM;", "closed on Sunday."]
    assert split_off("It is at 3. ") == ([], "It is at 3. ")


def test_references_and_numbers_are_spelled() -> None:
    """The synthesiser gets single digits where people would read single digits."""
    assert pronounceable("Reference RC-1042.") == "Reference R C, 1 0 4 2."
    assert pronounceable("Call +12025550142.") == "Call plus 1, 2 0 2, 5 5 5, 0 1 4 2."
    assert pronounceable("At 9:30 on 24 November") == "At 9:30 on 24 November"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("+12025550199", "2 0 2, 5 5 5, 0 1 9 9"),
        ("202 555 0199", "2 0 2, 5 5 5, 0 1 9 9"),
        ("+442079460958", "4 4 2, 0 7 9, 4 6 0, 9 5 8"),
        ("5550199", "5 5 5, 0 1 9, 9"),
    ],
)
def test_a_number_is_read_back_digit_by_digit(number: str, said: str) -> None:
    """A voice that reads it as one number is understood by nobody."""
    assert words.spelled(number) == said
