"""What English words mean to a receptionist: numbers, days, times, names, phones, yes and no.

Pure functions of a text as speech recognition writes it; each returns None when it finds nothing.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

__all__ = [
    "bare",
    "digits",
    "find_day",
    "find_name",
    "find_ordinal",
    "find_phone",
    "find_time",
    "find_yes_no",
    "is_question",
    "plain",
    "sounds_finished",
    "spelled",
]


def _listed(words: str) -> list[str]:
    return words.split()


_UNITS = _listed(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_NUMBERS = {word: number for number, word in enumerate(_UNITS)}
_TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50}
_WEEKDAYS = _listed("monday tuesday wednesday thursday friday saturday sunday")
_MONTHS = _listed(
    "january february march april may june july august september october november december"
)
_ORDINALS = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3,
             "4th": 3, "last": -1, "latest": -1, "earliest": 0}  # fmt: skip
_DAY_ORDINALS = _listed(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)


def plain(text: str) -> str:
    """Return a text in lower case with straight apostrophes and single spaces."""
    text = text.lower().replace("\u2019", "'")
    return re.sub(r"\s+", " ", text).strip()


def bare(text: str) -> str:
    """Return a plain text without punctuation, as rules match it."""
    return plain(re.sub(r"[^\w' ]+", " ", text.replace("\u2019", "'")))


def _tokens(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", plain(text).replace(".m", "m"))


def digits(text: str) -> str:
    """Return the digits in a text, also those said as words ("oh", "double five")."""
    found: list[str] = []
    times = 1
    for word in _tokens(text):
        if word in {"double", "triple"}:
            times = 2 if word == "double" else 3
            continue
        digit = _digit(word)
        found.append(digit * times)
        times = 1
    return "".join(found)


def _digit(token: str) -> str:
    if token.isdecimal():
        return token
    if token in {"oh", "o"}:
        return "0"
    if token in _NUMBERS:
        return str(_NUMBERS[token])
    return ""


def find_phone(text: str) -> str | None:
    """Return a phone number of 7 to 15 digits, with its plus when it was said."""
    found = digits(text)
    if not 7 <= len(found) <= 15:
        return None
    plus = "+" in text or "plus" in _tokens(text)
    return f"+{found}" if plus else found


def spelled(number: str) -> str:
    """Return a phone number as it is read back: "2 0 2, 5 5 5, 0 1 9 9"."""
    found = re.sub(r"\D", "", number)
    if len(found) == 11 and found.startswith("1"):  # North America says no country code
        found = found[1:]
    groups = [found[:3], found[3:6], found[6:]] if len(found) == 10 else re.findall("..?.?", found)
    return ", ".join(" ".join(group) for group in groups)


def find_time(text: str) -> tuple[int, int] | None:
    """Return a time of day as said: hour (0 to 23) and minute; without am or pm the hour is bare.

    A bare "one" is none, because of "the first one".
    """
    spaced = re.sub(r"\b([ap])\.? ?m\b\.?", r" \1m ", plain(text))
    spaced = re.sub(r"\b(\d{1,2})[:.](\d{2})\b", r"\1 \2", spaced)
    spaced = re.sub(r"\b(\d{1,2})([03]0|15|45)\b", r"\1 \2", spaced)
    tokens = re.findall(r"[a-z0-9']+", spaced)
    for index in range(len(tokens)):
        if time := _past(tokens, index) or _clock(tokens, index):
            return time
    return None


_PAST = {"half": 30, "quarter": 15, "ten": 10, "twenty": 20, "five": 5}


def _past(tokens: list[str], index: int) -> tuple[int, int] | None:
    """Read "half past nine", "quarter to ten"."""
    if index + 2 >= len(tokens) or tokens[index] not in _PAST:
        return None
    hour, minutes = _hour(tokens[index + 2]), _PAST[tokens[index]]
    if hour is None or tokens[index + 1] not in {"past", "after", "to"}:
        return None
    if tokens[index + 1] == "to":
        hour, minutes = (hour - 1) or 12, 60 - minutes
    return _half_day(hour, tokens[index + 3 : index + 4]), minutes


def _clock(tokens: list[str], index: int) -> tuple[int, int] | None:
    """Read "nine", "9 30", "nine forty five", "nine o'clock", "nine am"."""
    hour = _hour(tokens[index])
    if hour is None:
        return None
    rest = tokens[index + 1 :]
    minutes, used = _minutes(rest)
    after = rest[used : used + 1]
    if not used and not after and tokens[index] == "one":
        return None
    explicit = used or after[:1] in (["am"], ["pm"], ["o'clock"])
    if tokens[index] == "one" and not explicit and tokens[index - 1 : index] != ["at"]:
        return None
    return _half_day(hour, after), minutes


def _hour(token: str) -> int | None:
    number = int(token) if token.isdecimal() and len(token) <= 2 else _NUMBERS.get(token)
    return number if number is not None and 1 <= number <= 23 else None


def _minutes(tokens: list[str]) -> tuple[int, int]:
    """Return the minutes that these words begin with and how many words they are."""
    if not tokens:
        return 0, 0
    first = tokens[0]
    if first.isdecimal() and len(first) == 2 and int(first) < 60:
        return int(first), 1
    if first in _TENS:
        unit = _NUMBERS.get(tokens[1], 0) if len(tokens) > 1 else 0
        return (_TENS[first] + unit, 2) if 0 < unit < 10 else (_TENS[first], 1)
    if first in {"ten", "fifteen"}:
        return _NUMBERS[first], 1
    return 0, 0


def _half_day(hour: int, after: list[str]) -> int:
    if after == ["pm"] and hour < 12:
        return hour + 12
    return 0 if after == ["am"] and hour == 12 else hour


def find_ordinal(text: str) -> int | None:
    """Return the index that "the second one" or "the last" names; -1 is the last."""
    for token in _tokens(text):
        if token in _ORDINALS:
            return _ORDINALS[token]
    return None


def find_day(text: str, today: date) -> str | None:
    """Return a weekday's name, or an ISO date for "November 24th", "tomorrow" and the like."""
    if iso := re.search(r"\b\d{4}-\d{2}-\d{2}\b", text):
        return iso[0]
    tokens = _tokens(text)
    for index, token in enumerate(tokens):
        if token in _MONTHS and (found := _date(token, tokens, index, today)):
            return found
    for index, token in enumerate(tokens):
        # "Tuesdays", "Tuesday's"
        name = token.replace("'", "").removesuffix("s")
        if name in _WEEKDAYS:
            return f"next {name}" if tokens[index - 1 : index] == ["next"] else name
    for word, days in (("tomorrow", 1), ("today", 0)):
        if word in tokens:
            return (today + timedelta(days=days)).isoformat()
    return None


def _date(month: str, tokens: list[str], index: int, today: date) -> str | None:
    """Read the number behind the month, or in front of it ("the 24th of November")."""
    before = [word for word in tokens[:index] if word != "of"]
    day = (
        _day_of_month(tokens[index + 1 : index + 3])
        or _day_of_month(before[-2:])
        or _day_of_month(before[-1:])
    )
    if day is None:
        return None
    number = _MONTHS.index(month) + 1
    for year in (today.year, today.year + 1):
        try:
            found = date(year, number, day)
        except ValueError:
            continue
        if found >= today:
            return found.isoformat()
    return None


def _day_of_month(tokens: list[str]) -> int | None:
    total = 0
    for token in tokens:
        if match := re.fullmatch(r"(\d{1,2})(st|nd|rd|th)?", token):
            return int(match[1])
        if token in _DAY_ORDINALS:
            return total + _DAY_ORDINALS.index(token) + 1
        value = {**_NUMBERS, "twenty": 20, "thirty": 30, "thirtieth": 30}.get(token)
        if value is None:
            break
        total += value
    return total or None


_QUESTION = re.compile(
    r"^(?:and |so |but |um |uh )?(?:what|when|where|why|how|who|which|are|is|do|does|did|can|could|"
    r"will|would)\b|\?$"
)


def is_question(text: str) -> bool:
    """Tell whether this asks rather than tells."""
    return _QUESTION.search(plain(text)) is not None


_YES = r"yes|yeah|yep|yup|sure|correct|right|please do|of course|okay|ok|absolutely|fine"
_NO = r"no|nope|nah|not|don't|wrong|nothing"


def find_yes_no(text: str) -> str | None:
    """Return "yes" or "no"; no wins, for "no, that's right" is rare and "not sure" is not."""
    if re.search(rf"\b({_NO})\b", plain(text)):
        return "no"
    return "yes" if re.search(rf"\b({_YES})\b", plain(text)) else None


_MY_NAME_IS = re.compile(r"\bmy (?:full )?name(?: is|'s)\s+", re.IGNORECASE)
_LEAD_IN = re.compile(
    r"\b(?:my (?:full )?name is|my name's|the name is|name's|this is|i am|i'm|it's|it is|call me|"
    r"under the name(?: of)?|speaking is)\s+",
    re.IGNORECASE,
)
_TRAILER = re.compile(r"\b(?:speaking|here|please|thanks|thank you|and)\b.*$", re.IGNORECASE)
_FILLER = re.compile(r"^(?:(?:yes|yeah|sure|okay|ok|so|well|um|uh|oh|hi|hello)\b[,. ]*)+", re.I)
_NO_NAME = frozenset(
    _listed(
        "a an the not no yes for at on in to what when where why how who is are do does can could "
        "would will i you we they it that this these have has want need looking calling going "
        "sorry sure just afraid fine good appointment"
    )
)


def find_name(text: str, *, asked: bool, bare: bool) -> str | None:
    """Return a person's name.

    Args:
        asked: Whether we asked for it: "this is ..." counts then, else only "my name is ...".
        bare: Whether the name may stand alone.
    """
    text = text.replace("\u2019", "'")
    match = (_LEAD_IN if asked else _MY_NAME_IS).search(text)
    if match is None and not bare:
        return None
    rest = text[match.end() :] if match else _FILLER.sub("", text.strip())
    rest = _TRAILER.sub("", re.split(r"[.!?;]", rest)[0].replace(",", " "))
    words = re.findall(r"[A-Za-z][A-Za-z'-]*", rest)
    if not 1 <= len(words) <= 4 or any(word.lower() in _NO_NAME for word in words):
        return None
    return " ".join(word[0].upper() + word[1:] for word in words)


_DANGLING = re.compile(
    r"(?:\b(?:and|or|but|so|the|a|an|to|for|at|on|in|of|is|my|with|because|um|uh|like|if|that's|"
    r"it's|i'm|name is)|-|\.\.\.)[.,]?$"
)


_HALF_NUMBER = re.compile(
    r"(?:\b(?:\d+|oh|zero|one|two|three|four|five|six|seven|eight|nine)\W*)+$"
)


def sounds_finished(text: str) -> bool:
    """Tell whether a speaker may well have ended here: no dangling "and", no half phone number.

    A comma at the end says nothing: the recogniser puts one wherever the sound stops.
    """
    said = plain(text)
    if not said or _DANGLING.search(said):
        return False
    number = _HALF_NUMBER.search(said)
    return number is None or ":" in number[0] or not 3 <= len(digits(number[0])) < 7
