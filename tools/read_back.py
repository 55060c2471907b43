"""Whether a value was said, in whatever words; and how it is said so that it is found again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import phonenumbers

from tools.plain_words import folded, has_in_a_row, listed_words, plain_words
from tools.spoken import spoken_moment
from tools.spoken_dates import (
    Time,
    dates_of,
    day_and_month,
    day_of_weekday,
    is_time,
    is_weekday,
    times_of,
    weekdays_of,
    without_days_and_times,
)

__all__ = [
    "Critical",
    "Email",
    "Moment",
    "Name",
    "Phone",
    "Words",
    "leaves_a_choice",
    "said",
    "says_another",
    "spoken",
]


@dataclass(frozen=True)
class Phone:
    """A number, in E.164."""

    number: str


@dataclass(frozen=True)
class Email:
    """An e-mail address."""

    address: str


@dataclass(frozen=True)
class Moment:
    """A day and a time, in the time zone in which they are spoken of."""

    at: datetime


@dataclass(frozen=True)
class Name:
    """The name of a person or a place."""

    text: str


@dataclass(frozen=True)
class Words:
    """Any other words; said as they are."""

    text: str


Critical = Phone | Email | Moment | Name | Words
"""A value that a caller has to hear, and agree to, before anything is done with it."""


def spoken(value: Critical, *, home: str) -> str:
    """Return how a value is said.

    Args:
        home: A number of the country from which is called; a number there is said without its code.
    """
    match value:
        case Phone(number):
            return _spoken_phone(number, home)
        case Email(address):
            return _spoken_email(address)
        case Moment(at):
            return spoken_moment(at)
        case Name(text) | Words(text):
            return text


def said(value: Critical, text: str, *, home: str, today: date) -> bool:
    """Return whether `text` says a value; numbers as words or digits, names plain or spelled.

    Args:
        home: As for `spoken`.
        today: What "tomorrow" is counted from.
    """
    match value:
        case Phone(number):
            return _says_phone(number, text, home)
        case Email(address):
            return _says_email(address, text)
        case Moment(at):
            return _says_day(at, text, today) and _says_time(at, text)
        case Name(name):
            words = plain_words(_AS_IN.sub(" ", text))
            parts = plain_words(name)
            return bool(parts) and all(_joins("".join(part), words) for part in parts)
        case Words(wanted):
            parts = plain_words(wanted)
            if len(parts) == 1 and parts[0].isdigit():
                return parts[0] in without_days_and_times(text)
            return bool(parts) and has_in_a_row(plain_words(text), parts)


# Phone numbers

_REPEATS = {"double": 2, "triple": 3, "doble": 2, "doppel": 2, "doppio": 2}
_MAGNITUDES = {"hundred": "00", "thousand": "000"}
_BETWEEN_DIGITS = frozenset(listed_words("and then plus area code dash hyphen y et und e mas"))
_ZERO = frozenset(["o", "oh"])
_PAUSE = re.compile(r"[,;.!?]+(?=\s|$)")


def _national(number: str, home: str) -> tuple[str, str]:
    """Return the code of the country, empty when it is at home, and the number within it."""
    parsed = phonenumbers.parse(number)
    code = str(parsed.country_code)
    at_home = parsed.country_code == phonenumbers.parse(home).country_code
    return "" if at_home else code, number.removeprefix("+").removeprefix(code)


def _spoken_phone(number: str, home: str) -> str:
    code, national = _national(number, home)
    form = phonenumbers.PhoneNumberFormat.INTERNATIONAL
    groups = phonenumbers.format_number(phonenumbers.parse(number), form).split(maxsplit=1)[-1]
    spaced = [" ".join(group) for group in re.findall(r"\d+", groups)]
    if "".join(spaced).replace(" ", "") != national:
        spaced = [" ".join(national)]
    return ", ".join([*(["plus " + " ".join(code)] if code else []), *spaced])


def _says_phone(number: str, text: str, home: str) -> bool:
    code, national = _national(number, home)
    return any(run.endswith(code + national) for run in _digit_runs(text))


def _digit_runs(text: str) -> Iterator[str]:
    """Yield digits in a row, as far as they were said at each pause and at the last of them.

    What goes on with another digit is another number.
    """
    run, times = "", 1
    for words in map(plain_words, _PAUSE.split(text)):
        for word in words:
            if word in _REPEATS:
                times = _REPEATS[word]
                continue
            if word.isdigit():
                run += word * times
            elif word in _ZERO:
                run += "0" * times
            elif word in _MAGNITUDES:
                run += _MAGNITUDES[word]
            elif word not in _BETWEEN_DIGITS:
                yield run
                run = ""
            times = 1
        yield run


# E-mail addresses

_SIGNS = {
    "@": "at arroba arobase arrobase chiocciola klammeraffe",
    ".": "dot point punto punkt ponto period",
    "_": "underscore",
    "-": "dash hyphen minus guion tiret bindestrich hifen trattino",
    "+": "plus",
}
_SIGN_OF = {word: sign for sign, words in _SIGNS.items() for word in words.split()}
_NAME_OF = {"@": "at", ".": "dot", "_": "underscore", "-": "dash", "+": "plus"}
_MAIL_TOKEN = re.compile(r"[^\W_]+|[@._+-](?!\s|$)|[@_+](?=\s|$)")
_END_OF_SENTENCE = re.compile(r"[.,;:!?]+(?=\s|$)")


def _spoken_email(address: str) -> str:
    parts = re.findall(r"[^\W_]+|.", address.casefold())
    return " ".join(_NAME_OF.get(part, part) for part in parts)


def _says_email(address: str, text: str) -> bool:
    wanted = folded(address)
    tokens = _MAIL_TOKEN.findall(_END_OF_SENTENCE.sub(" ", folded(_AS_IN.sub(" ", text))))
    signs = [_SIGN_OF.get(token, token) for token in tokens]
    digits = ["".join(plain_words(sign)) or sign for sign in signs]
    # Letters that are spelled may have hyphens between them.
    spelled = [sign for sign in signs if sign != "-"]
    return any(
        # "Mary dot" before it, or "dot uk" after it, make another address of it.
        not {*words[max(start - 1, 0) : start]} & {*"._-+"} and words[end : end + 1] != ["."]
        for words in (signs, digits, spelled)
        for start, end in _places(wanted, words)
    )


# Days and times


def says_another(
    moments: Sequence[Moment], text: str, read_back: str, *, unsure: bool = False
) -> bool:
    """Return whether `text` says a day or a time besides these, so that a yes may be to either.

    When something ends is no other time for it, and a number after "at" may be that of a house.

    Args:
        read_back: What is said here may be said there.
        unsure: It is taken for a time all the same.
    """
    words, known = plain_words(text), plain_words(read_back)
    times = set(times_of(read_back))
    sure = [time for time in times_of(text, ends=False) if unsure or time[1] or time[2]]
    return (
        any(
            time not in times and not any(is_time(time, moment.at) for moment in moments)
            for time in (*sure, *_alternatives(words))
        )
        or not all(
            days & (day_and_month(known) | {(one.at.day, one.at.month) for one in moments})
            for days in dates_of(words)
        )
        or not weekdays_of(words) <= weekdays_of(known) | {one.at.weekday() for one in moments}
    )


def leaves_a_choice(text: str, read_back: str) -> bool:
    """Return whether `text` has two numbers to choose from, as in `the 24th or the 25th`.

    Args:
        read_back: What is said here may be said there.
    """
    return not _choices(text) <= _choices(read_back)


def _choices(text: str) -> set[str]:
    return set(_CHOICE.findall(" ".join(plain_words(text))))


_CHOICE = re.compile(r"\d+ (?:or|oder|ou) (?:the |der |le )?\d+")


def _alternatives(words: Sequence[str]) -> Iterator[Time]:
    """Yield both hours of `at nine or ten` and of `at nine or on Tuesday at ten`."""
    for at, word in enumerate(words):
        if word == "or" and at >= 2 and words[at - 2] == "at":
            hours = [words[at - 1], *words[at + 1 : at + 2]]
            yield from ((int(hour), 0, None) for hour in hours if hour.isdigit())


def _says_day(at: datetime, text: str, today: date) -> bool:
    words = plain_words(text)
    named = day_and_month(words)
    if named:
        return (at.day, at.month) in named
    ahead = (at.date() - today).days
    if (day := day_of_weekday(words, at.weekday())) is not None:
        # The same weekday has the same number again after four weeks at the soonest.
        return day == at.day and 0 <= ahead < _FOUR_WEEKS
    if ahead in (0, 1) and ("today", "tomorrow")[ahead] in words:
        return True
    # Without a date a weekday is the next one.
    return 0 <= ahead <= 7 and any(is_weekday(word, at.weekday()) for word in words)


_FOUR_WEEKS = 28


def _says_time(at: datetime, text: str) -> bool:
    return any(is_time(time, at) for time in times_of(text))


# Words

_AS_IN = re.compile(r"\b(?:as in|like in|comme|wie|como|come)\s+\w+", re.IGNORECASE)


def _joins(wanted: str, words: Sequence[str]) -> bool:
    """Return whether words in a row make up `wanted`: one word, or letters that spell it."""
    return any(True for _ in _places(wanted, words))


def _places(wanted: str, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield where words in a row that make up `wanted` begin, and where they have ended."""
    for start in range(len(words)):
        rest = wanted
        for at, word in enumerate(words[start:], start):
            if not rest.startswith(word):
                break
            rest = rest[len(word) :]
            if not rest:
                yield start, at + 1
                break
