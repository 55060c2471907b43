"""Days and times as they are found in what somebody said."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from tools.plain_words import folded, listed_words, plain_words

__all__ = [
    "Time",
    "dates_of",
    "day_and_month",
    "day_of_weekday",
    "is_time",
    "is_weekday",
    "times_of",
    "weekdays_of",
    "without_days_and_times",
]

# By number from 0, in English, Spanish, French, German, Portuguese, Italian; without accents.
_WEEKDAYS = (
    "monday lunes lundi montag segunda lunedi",
    "tuesday martes mardi dienstag terca martedi",
    "wednesday miercoles mercredi mittwoch quarta mercoledi",
    "thursday jueves jeudi donnerstag quinta giovedi",
    "friday viernes vendredi freitag sexta venerdi",
    "saturday sabado samedi samstag sabato",
    "sunday domingo dimanche sonntag domenica",
)
_MONTHS = (
    "january enero janvier januar janeiro gennaio",
    "february febrero fevrier februar fevereiro febbraio",
    "march marzo mars marz marco",
    "april abril avril aprile",
    "may mayo mai maio maggio",
    "june junio juin juni junho giugno",
    "july julio juillet juli julho luglio",
    "august agosto aout",
    "september septiembre septembre setembro settembre",
    "october octubre octobre oktober outubro ottobre",
    "november noviembre novembre novembro",
    "december diciembre decembre dezember dezembro dicembre",
)
_WEEKDAY = {word: number for number, words in enumerate(_WEEKDAYS) for word in words.split()}
_MONTH = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}

_OF = frozenset(listed_words("of de do di le the"))
_THE = frozenset(listed_words("the dia der le el il"))


def is_weekday(word: str, number: int) -> bool:
    """Return whether a plain word names the weekday of this number, 0 for Monday."""
    return _WEEKDAY.get(word) == number


def weekdays_of(words: Sequence[str]) -> set[int]:
    """Return every weekday that plain words name, 0 for Monday."""
    return {_WEEKDAY[word] for word in words if word in _WEEKDAY}


def day_of_weekday(words: Sequence[str], number: int) -> int | None:
    """Return the day of the month of a weekday, as in `Tuesday the 24th`; None without any."""
    for at, word in enumerate(words[:-2]):
        if is_weekday(word, number) and words[at + 1] in _THE and words[at + 2].isdigit():
            return int(words[at + 2])
    return None


def day_and_month(words: Sequence[str]) -> set[tuple[int, int]]:
    """Return every day of a year that plain words name, as its day and its month."""
    return {day for days in dates_of(words) for day in days}


def dates_of(words: Sequence[str]) -> Iterator[set[tuple[int, int]]]:
    """Yield, for every month that plain words name, which days may be meant: a day and a month.

    In `at 9, November 24` both numbers stand beside it.
    """
    for at, word in enumerate(words):
        month = _MONTH.get(word)
        if month is None:
            continue
        after = [other for other in words[at + 1 : at + 3] if other not in _OF][:1]
        before = [other for other in words[max(at - 2, 0) : at] if other not in _OF][-1:]
        days = {
            2 if other == "second" else int(other) if other.isdigit() else 0
            for other in (*after, *before)
        }
        if found := {(day, month) for day in days if 1 <= day <= 31}:
            yield found


def without_days_and_times(text: str) -> list[str]:
    """Return plain words without the numbers of `December 4`, `4 de diciembre` and `at 7:30`."""
    said = (" ".join(plain_words(part)) for part in re.split(r"[,;]", _COLON.sub(" ", text)))
    return [word for part in said for word in _OF_DAY_OR_TIME.sub(" ", part).split()]


_OF_DAY_OR_TIME = re.compile(
    rf"\b(?:{'|'.join(_MONTH)}) (?:the )?\d{{1,2}}\b"
    rf"|\b\d{{1,2}} (?:(?:of|de) )?(?:{'|'.join(_MONTH)})\b"
    r"|\b(?:at|past) \d{1,2}(?: \d{2})?\b"
    r"|\b\d{1,2}(?: \d{2})? (?:am|pm|oclock|uhr)\b"
)


_COLON = re.compile(r"\b(\d{1,2})[:.h](\d{2})\b(?: ?([ap])\.? ?m\b)?")
_BEFORE = frozenset(
    listed_words("at by around until till from for and or to um gegen a las la los as alle ore ao")
)
_HOURS = frozenset(listed_words("am pm oclock clock uhr h heures heure horas hora ore"))
_MORNING = frozenset(listed_words("morning manana matin morgens vormittags manha mattina mattino"))
_EVENING = frozenset(
    listed_words(
        "afternoon evening night tarde noche soir apres nachmittags abends noite pomeriggio sera"
    )
)
_NAMED = {"noon": 12, "midday": 12, "mediodia": 12, "midi": 12, "mittag": 12, "mezzogiorno": 12}
_NAMED |= {"midnight": 0, "medianoche": 0, "minuit": 0, "mitternacht": 0, "mezzanotte": 0}

Time = tuple[int, int, str | None]
"""Hour, minute, and `am` or `pm` where it was said."""


def is_time(time: Time, at: datetime) -> bool:
    """Return whether a time is that of a moment; without its half of the day it may be either."""
    hour, minute, meridiem = time
    if minute != at.minute:
        return False
    if meridiem is None:
        return hour in (at.hour, at.hour % 12 or 12)
    return hour % 12 + 12 * (meridiem == "pm") == at.hour


def times_of(text: str, *, ends: bool = True) -> Iterator[Time]:
    """Yield every time of day that a text names.

    Args:
        ends: With those at which something ends, as in `from two to three`.
    """
    plain = folded(text)
    for match in _COLON.finditer(plain):
        meridiem = f"{match[3]}m" if match[3] else None
        if ends or not _UNTIL.search(plain[: match.start()]):
            yield int(match[1]), int(match[2]), meridiem
    words, at = plain_words(_COLON.sub(" ", plain)), 0
    while at < len(words):
        found, taken = _time_at(words, at)
        if found is not None and (ends or at == 0 or words[at - 1] not in _ENDS):
            yield found
        at += taken


def _time_at(words: Sequence[str], at: int) -> tuple[Time | None, int]:
    """Return the time that begins here, and how many words it takes."""
    if words[at] in _NAMED:
        hour = _NAMED[words[at]]
        return (hour, 0, "pm" if hour else "am"), 1
    found, taken = _relative(words, at)
    if found is None and words[at].isdigit() and int(words[at]) < 24:
        found, taken = _absolute(words, at)
    return found, taken


def _relative(words: Sequence[str], at: int) -> tuple[Time | None, int]:
    """Return `half past nine`, `quarter to ten`, `halb zehn`."""
    rest = list(words[at : at + 3])
    if rest[0] == "halb" and len(rest) > 1 and rest[1].isdigit():
        return ((int(rest[1]) - 1) % 12 or 12, 30, None), 2
    minute = _PAST.get(rest[0]) if at == 0 or words[at - 1] not in _FROM else None
    if minute is None or len(rest) < 3 or not rest[2].isdigit():
        return None, 1
    hour, meridiem = int(rest[2]), _meridiem(words, at + 3)
    if rest[1] in ("past", "after", "nach"):
        return (hour, minute, meridiem), 3
    if rest[1] in ("to", "before", "vor") and rest[0] != "half":
        return ((hour - 1) % 12 or 12, 60 - minute, meridiem), 3
    return None, 1


def _absolute(words: Sequence[str], at: int) -> tuple[Time | None, int]:
    """Return `9 AM`, `at nine`, `nine thirty`, `9 Uhr 30`, `las nueve y media`."""
    hour, after = int(words[at]), at + 1
    before = words[at - 1] if at else ""
    if before in _MONTH:
        return None, 1
    named = before in _BEFORE
    if after < len(words) and words[after] in _HOURS - {"am", "pm"}:
        named, after = True, after + 1
    minute, taken = _minute(words, after)
    after += taken
    meridiem = _meridiem(words, after)
    follows_digit = after < len(words) and words[after].isdigit()
    is_one = named or meridiem is not None or (taken > 0 and not before.isdigit())
    if is_one and not follows_digit:
        return (hour, minute, meridiem), after - at
    return None, 1


_UNTIL = re.compile(r"(?:\b(?:to|until|till|bis|hasta)|[-\u2013]) ?$")
_ENDS = frozenset(listed_words("to until till bis hasta"))
_FROM = frozenset(listed_words("from between"))
_PAST = {"half": 30, "quarter": 15, "viertel": 15} | {str(n): n for n in (5, 10, 20, 25)}
_PARTS = {"media": 30, "demie": 30, "mezza": 30, "meia": 30, "mezzo": 30}
_PARTS |= {"cuarto": 15, "quart": 15, "quarto": 15}


def _minute(words: Sequence[str], at: int) -> tuple[int, int]:
    """Return the minutes that follow an hour, and how many words they take; none are 0 and 0."""
    first, second = [*words[at : at + 2], "", ""][:2]
    if first.isdigit() and len(first) == 2 and int(first) < 60:
        return int(first), 1
    if first in ("oh", "o", "0") and second.isdigit() and len(second) == 1:
        return int(second), 2
    if first in ("y", "et", "e", "und") and second in _PARTS:
        return _PARTS[second], 2
    return 0, 0


def _meridiem(words: Sequence[str], at: int) -> str | None:
    for word in words[at : at + 4]:
        if word in ("am", "pm"):
            return word
        if word in _MORNING:
            return "am"
        if word in _EVENING:
            return "pm"
        if word not in {"in", "the", "o", "clock", "oclock", "at", "de", "la", "du", "da", "di"}:
            return None
    return None
