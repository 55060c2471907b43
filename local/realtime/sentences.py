"""Cutting text into sentences, and writing it so that a synthesiser says it as people do."""

from __future__ import annotations

import re

__all__ = ["pronounceable", "sentences", "split_off"]

_ABBREVIATIONS = frozenset(
    {"dr", "mr", "mrs", "ms", "prof", "st", "no", "vs", "etc", "approx", "dept", "ext", "inc"}
)
_END = re.compile(r"[.!?]+[\"”')]*\s+(?=[\"“'(]?[A-Z0-9])|(?<=\w)[:;]\s+(?=[\"“'(]?\w)")
_REFERENCE = re.compile(r"\b([A-Z]{1,4})-(\d{2,8})\b")
_PHONE = re.compile(r"(?<![\w-])\+?\d(?:[ ()./-]?\d){6,14}(?![\w-])")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; abbreviations and initials end none.

    A colon or a semicolon ends one too: people pause there, and the shorter a piece is, the sooner
    it can be heard.
    """
    done, rest = split_off(text)
    return [*done, *([rest.strip()] if rest.strip() else [])]


def split_off(text: str) -> tuple[list[str], str]:
    """Return the sentences that are certainly complete, and what follows them.

    The last one never is: a stream may go on with a digit after "at 3.".
    """
    done: list[str] = []
    start = 0
    for match in _END.finditer(text):
        sentence = text[start : match.end()].strip()
        if _is_complete(sentence):
            done.append(sentence)
            start = match.end()
    return done, text[start:]


def _is_complete(sentence: str) -> bool:
    last = sentence.rstrip(".\"”')").rsplit(" ", 1)[-1]
    if not sentence.rstrip("\"”')").endswith("."):
        return True
    initial = len(last) == 1 and last.isalpha() and last.isupper()
    return not initial and last.lower() not in _ABBREVIATIONS


def pronounceable(text: str) -> str:
    """Return what the synthesiser should be given for this text."""
    text = _REFERENCE.sub(lambda m: f"{' '.join(m[1])}, {' '.join(m[2])}", text)
    text = _PHONE.sub(lambda m: _digits(m[0]), text)
    return text.replace("&", " and ").replace("*", " ").replace("#", " ").replace("_", " ")


def _digits(number: str) -> str:
    plus = "plus " if number.startswith("+") else ""
    digits = re.sub(r"\D", "", number)
    # Threes, and four at the end, as people read them out; the comma is a short pause.
    head, tail = digits[:-4], digits[-4:]
    first = len(head) % 3
    groups = [head[:first], *(head[i : i + 3] for i in range(first, len(head), 3)), tail]
    return plus + ", ".join(" ".join(group) for group in groups if group)
