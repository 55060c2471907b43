"""Which time of day, and which moment, a caller means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from thirdring.errors import ToolRefused
from thirdring.hours import hours_on
from thirdring.settings import Business, OpeningHours
from thirdring.state import CallState
from tools.days import day_in, day_meant
from tools.spoken import spoken_day, spoken_time

__all__ = ["here", "moment_meant", "moment_on", "time_meant"]

_HOURS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
          "eleven", "twelve")  # fmt: skip
_MINUTES = {"five": 5, "ten": 10, "fifteen": 15, "quarter": 15, "twenty": 20, "twenty-five": 25,
            "half": 30, "thirty": 30, "forty": 40, "forty-five": 45, "fifty": 50}  # fmt: skip

_HOUR = rf"(?P<hour>\d{{1,2}}|{'|'.join(_HOURS)})"
_CLOCK = re.compile(
    rf"{_HOUR}(?:[:.]?(?P<minute>(?<=[:.])\d{{2}}| (?:oh )?(?:\d{{1,2}}|{'|'.join(_MINUTES)})))?"
    r"(?: ?(?P<half>[ap]m))?"
)
_PAST = re.compile(
    rf"(?P<minute>\d{{1,2}}|{'|'.join(_MINUTES)})(?: minutes)? (?P<side>past|after|to|before) "
    rf"{_HOUR}(?: ?(?P<half>[ap]m))?"
)
_NAMED = {"noon": time(12), "midday": time(12), "12 noon": time(12), "midnight": time(0)}
_PART = re.compile(r"\b(?:in the |this |at )?(?P<part>morning|afternoon|evening|night|tonight)\b")
_IDLE = re.compile(r"\b(?:at|around|about|by|on|for|please|o'clock)\b|,")
_WAIT = re.compile(r"in (?P<count>\d{1,3}|an?|half an|two|three) (?P<unit>minute|hour)s?")

_ASK = "Ask the caller at what time, and whether in the morning or in the afternoon."


def here(state: CallState) -> datetime:
    """Return what time it is where the business is."""
    return state.clock.now().astimezone(state.business.time_zone)


def time_meant(text: str, hours: Sequence[OpeningHours]) -> time:
    """Return the time of day that `text` means; "two" is the one of both that is within `hours`.

    Raises:
        ToolRefused: It means no time, or it could be either.
    """
    words = _plain(text)
    part = _PART.search(words)
    clock = " ".join(_IDLE.sub(" ", _PART.sub(" ", words)).split())
    if clock in _NAMED:
        return _NAMED[clock]
    either = _either(clock, part["part"] if part else None)
    if not either:
        raise ToolRefused(f"{text[:40]!r} is no time of day. {_ASK}")
    if len(either) == 1:
        return either[0]
    open_then = [at for at in either if any(span.opens <= at < span.closes for span in hours)]
    if len(open_then) != 1:
        this, that = (spoken_time(at) for at in either)
        raise ToolRefused(f"That can be {this} or {that}. Ask the caller which of both they mean.")
    return open_then[0]


def moment_on(day: date, at: time, business: Business) -> datetime:
    """Return a local time of a day.

    Raises:
        ToolRefused: The clocks skip it that day.
    """
    moment = datetime.combine(day, at, business.time_zone)
    if moment.astimezone(UTC).astimezone(business.time_zone).replace(fold=0) != moment:
        raise ToolRefused(f"There is no {spoken_time(at)} on {spoken_day(day)}: the clocks change.")
    return moment


def moment_meant(text: str, now: datetime, business: Business) -> datetime:
    """Return the moment that `text` means, such as "tomorrow at two"; without a day it is today.

    Raises:
        ToolRefused: It means no moment, several, or one that has passed.
    """
    today = now.astimezone(business.time_zone).date()
    if wait := _WAIT.fullmatch(_plain(text)):
        return (now + _duration(wait)).astimezone(business.time_zone)
    named, rest = day_in(text, today)
    day = today if named is None else day_meant(text, today)
    rest = f"{rest} tonight" if "tonight" in text.lower() else rest
    moment = moment_on(day, time_meant(rest, hours_on(business, day)), business)
    if moment <= now:
        raise ToolRefused(
            f"{spoken_time(moment)} on {spoken_day(day)} has passed. Ask the caller which day."
        )
    return moment


def _plain(text: str) -> str:
    words = " ".join(text.lower().replace("\u2019", "'").split())
    words = re.sub(r"\b([ap])\. ?m\b\.?", r"\1m", words)
    return re.sub(r"\b(twenty|forty) five\b", r"\1-five", words).strip(" .?!")


def _either(clock: str, part: str | None) -> list[time]:
    """Return the times of day that the words can be: none, one, or both halves of the day."""
    match = _PAST.fullmatch(clock) or _CLOCK.fullmatch(clock)
    if match is None:
        return []
    hour, minute = _hour(match["hour"]), _minute(match["minute"])
    if hour > 23 or minute > 59:
        return []
    if match.re is _PAST and match["side"] in ("to", "before"):
        hour, minute = (hour - 1) % 24 if hour != 1 else 12, 60 - minute
    half = match["half"]
    if half and not 1 <= hour <= 12:
        return []
    # 14:00 and 09:00 are of the 24-hour clock; 9:00 may be in the evening.
    if not half and (hour > 12 or hour == 0 or match["hour"].startswith("0")):
        return [time(hour % 24, minute)]
    halves = {half} if half else _halves(part, hour)
    return [time(hour % 12 + 12 * (one == "pm"), minute) for one in sorted(halves)]


def _halves(part: str | None, hour: int) -> set[str]:
    if part is None:
        return {"am", "pm"}
    after_midnight = part in ("night", "tonight") and (hour == 12 or hour < 5)
    return {"am"} if part == "morning" or after_midnight else {"pm"}


def _hour(word: str) -> int:
    return int(word) if word.isdecimal() else _HOURS.index(word)


def _minute(word: str | None) -> int:
    if not word:
        return 0
    word = word.strip().removeprefix("oh ")
    if word.isdecimal():
        return int(word)
    return _MINUTES.get(word, 0)


def _duration(match: re.Match[str]) -> timedelta:
    words = {"a": 1.0, "an": 1.0, "half an": 0.5, "two": 2.0, "three": 3.0}
    count = words.get(match["count"]) or float(match["count"])
    return timedelta(minutes=count) if match["unit"] == "minute" else timedelta(hours=count)
