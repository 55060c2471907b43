from __future__ import annotations

import string
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.read_back import Critical, Email, Moment, Name, Phone, Words, said, spoken

HOME = "+12025550142"
NEW_YORK = ZoneInfo("America/New_York")
FRIDAY = date(2026, 11, 20)

NINE = Moment(datetime(2026, 11, 24, 9, 0, tzinfo=NEW_YORK))
IN_TWO_WEEKS = Moment(datetime(2026, 12, 1, 9, 0, tzinfo=NEW_YORK))
HALF_PAST = Moment(datetime(2026, 11, 24, 9, 30, tzinfo=NEW_YORK))
NOON = Moment(datetime(2026, 11, 24, 12, 0, tzinfo=NEW_YORK))
QUARTER_PAST_TWO = Moment(datetime(2026, 11, 24, 14, 15, tzinfo=NEW_YORK))
FIVE_PAST = Moment(datetime(2026, 12, 2, 9, 5, tzinfo=NEW_YORK))
TOMORROW = Moment(datetime(2026, 11, 21, 17, 45, tzinfo=NEW_YORK))
PHONE = Phone("+12025550199")
LONDON = Phone("+442079460958")
EMAIL = Email("jane.doe7@example.com")
JANE = Name("Jane Doe")


def is_said(value: Critical, text: str) -> bool:
    return said(value, text, home=HOME, today=FRIDAY)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (PHONE, "2 0 2, 5 5 5, 0 1 9 9"),
        (PHONE, "Your number is (202) 555-0199, right?"),
        (PHONE, "+1 202 555 0199"),
        (PHONE, "on Tuesday at 9, 202 555 0199, 4 people"),
        (PHONE, "two oh two, five five five, zero one nine nine"),
        (PHONE, "two zero two, triple five, oh one double nine"),
        (PHONE, "area code 202, then 555 and 0199"),
        (PHONE, "dos cero dos, cinco cinco cinco, cero uno nueve nueve"),
        (PHONE, "zwei null zwei, fünf fünf fünf, null eins neun neun"),
        (Phone("+18005550100"), "eight hundred, five five five, zero one hundred"),
        (LONDON, "plus 4 4, 2 0, 7 9 4 6, 0 9 5 8"),
        (EMAIL, "jane.doe7@example.com"),
        (EMAIL, "That is Jane dot Doe seven at example dot com."),
        (EMAIL, "J-A-N-E dot D O E 7 at example dot com, is that right?"),
        (Email("a-b_c+d@x.io"), "a dash b underscore c plus d at x dot io"),
        (NINE, "Tuesday, November 24 at 9 AM"),
        (NINE, "Tuesday at nine?"),
        (NINE, "the twenty-fourth of November at nine in the morning"),
        (NINE, "November 24th, nine o'clock"),
        (NINE, "el martes 24 de noviembre a las nueve de la mañana"),
        (NINE, "mardi 24 novembre à 9 h"),
        (NINE, "Dienstag um neun Uhr"),
        (NINE, "terça, dia vinte e quatro de novembro, às nove horas"),
        (NINE, "martedì alle nove"),
        (NINE, "Tuesday the 24th at nine"),
        (NINE, "Tuesday from nine to ten"),
        (IN_TWO_WEEKS, "Tuesday the first at nine in the morning"),
        (HALF_PAST, "Tuesday at half past nine"),
        (HALF_PAST, "Tuesday nine-thirty"),
        (HALF_PAST, "Tuesday at 9:30 a.m."),
        (HALF_PAST, "martes a las nueve y media"),
        (HALF_PAST, "Dienstag um halb zehn"),
        (NOON, "Tuesday at noon"),
        (NOON, "Tuesday at 12 PM"),
        (QUARTER_PAST_TWO, "Tuesday at a quarter past two"),
        (QUARTER_PAST_TWO, "Tuesday, 14:15"),
        (FIVE_PAST, "December second at nine oh five"),
        (TOMORROW, "tomorrow at quarter to six"),
        (JANE, "for Jane Doe"),
        (JANE, "J A N E, D-O-E"),
        (JANE, "J as in John, A, N, E, Doe"),
        (Name("José Núñez"), "Jose Nunez"),
        (Name("O'Brien"), "o'brien"),
        (Words("two rooms with a view"), "Two rooms, with a view!"),
        (Words("2 rooms"), "That is two rooms."),
    ],
)
def test_a_value_is_found_however_it_is_said(value: Critical, text: str) -> None:
    """As digits or words, plain or spelled, in several languages."""
    assert is_said(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (PHONE, ""),
        (PHONE, "2 0 2, 5 5 5, 0 1 9 8"),
        (PHONE, "202 555 something 0199"),
        (PHONE, "your number"),
        (PHONE, "2 0 2, 5 5 5, 0 1 9 9 9"),
        (PHONE, "202 555 01999"),
        (LONDON, "020 7946 0958"),
        (Phone("+49301234567"), "plus 4 9 3 0 12 34 56 78"),
        (EMAIL, "jane.doe@example.com"),
        (EMAIL, "mary dot jane dot doe seven at example dot com"),
        (EMAIL, "jane.doe7@example.com.br"),
        (EMAIL, "ane.doe7@example.com"),
        (EMAIL, "jane.doe7@example.org"),
        (NINE, "Tuesday at 9 PM"),
        (NINE, "Tuesday at nine in the evening"),
        (NINE, "Tuesday, December 1 at nine"),
        (NINE, "Monday at nine"),
        (NINE, "Tuesday the 25th at nine"),
        (IN_TWO_WEEKS, "Tuesday at nine in the morning"),
        (NINE, "Tuesday at ten"),
        (NINE, "Tuesday at 9:30"),
        (NINE, "Tuesday at nine thirty"),
        (NINE, "at nine"),
        (NINE, "Tuesday"),
        (NINE, "Tuesday, and your number is 9 1 7"),
        (FIVE_PAST, "Wednesday at 9:05"),
        (QUARTER_PAST_TWO, "Tuesday at a quarter to two"),
        (TOMORROW, "today at quarter to six"),
        (JANE, "Janet Doe"),
        (JANE, "Jane"),
        (JANE, "you"),
        (Words("two rooms"), "two small rooms"),
        (Words(""), "anything"),
        (Name("..."), "anything"),
    ],
)
def test_another_value_is_not_taken_for_it(value: Critical, text: str) -> None:
    """One digit, one letter or one hour less is another value."""
    assert not is_said(value, text)


def numbers() -> st.SearchStrategy[str]:
    """Return possible numbers of every country that libphonenumber knows an example of."""
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    kinds = [phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE]
    examples = [phonenumbers.example_number_for_type(r, kind) for r in regions for kind in kinds]
    form = phonenumbers.PhoneNumberFormat.E164
    texts = sorted({phonenumbers.format_number(each, form) for each in examples if each})
    return st.sampled_from(texts)


words = st.text("abcdefghijklmnopqrstuvwxyzäéñçßø", min_size=1, max_size=12)
mailboxes = st.from_regex(r"[a-z0-9]{1,8}([._+-][a-z0-9]{1,8}){0,2}", fullmatch=True)
domains = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,4})?\.(com|org|co\.uk|io)", fullmatch=True)
minutes = st.integers(min_value=0, max_value=363 * 24 * 60 - 1)
values = st.one_of(
    numbers().map(Phone),
    st.builds(lambda box, domain: Email(f"{box}@{domain}"), mailboxes, domains),
    minutes.map(
        lambda count: Moment(datetime(2026, 11, 20, tzinfo=NEW_YORK) + timedelta(minutes=count))
    ),
    st.lists(words, min_size=1, max_size=3).map(lambda parts: Name(" ".join(parts).title())),
    st.text(string.ascii_letters + string.digits, min_size=1, max_size=30).map(Words),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(values, min_size=1, max_size=4))
def test_what_code_says_is_found_by_code(critical: list[Critical]) -> None:
    """Whatever is to be read back satisfies the check of what was read back."""
    text = ", ".join(spoken(value, home=HOME) for value in critical)
    for value in critical:
        alone = [other for other in critical if isinstance(other, Moment) and other != value]
        if isinstance(value, Moment) and alone:
            continue  # two days in one sentence, or a day and digits, are another matter
        assert is_said(value, f"That is {text}, is that right?"), value


@settings(max_examples=300, deadline=None)
@given(numbers(), st.integers(min_value=0, max_value=2), st.sampled_from(string.digits))
def test_a_wrong_digit_is_never_overlooked(number: str, place: int, digit: str) -> None:
    """A number with one digit changed is not the one that was read back."""
    at = len(number) - 1 - place
    if number[at] == digit:
        return
    other = number[:at] + digit + number[at + 1 :]
    assert not is_said(Phone(number), spoken(Phone(other), home=HOME))
