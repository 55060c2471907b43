"""Texts with `{{ name }}` placeholders: instructions and greetings, filled with facts of a call."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from thirdring.errors import UnknownFact

__all__ = [
    "LONE_BRACES",
    "MAX_VALUE_LENGTH",
    "PLACEHOLDER",
    "fill",
    "lone_braces",
    "placeholders",
    "plain",
]

PLACEHOLDER: Final = re.compile(r"\{\{[ \t]*([^{}\n]*?)[ \t]*\}\}")
"""Group 1 is the name; whatever stands between the braces counts, so that a typo is noticed."""

LONE_BRACES: Final = "has {{ or }} without its other half"
_BRACES: Final = re.compile(r"\{\{|\}\}")

MAX_VALUE_LENGTH: Final = 2000
"""Characters of one fact; a prompt is paid for on every call."""


def placeholders(template: str) -> frozenset[str]:
    """Return the names that `template` uses."""
    return frozenset(PLACEHOLDER.findall(template))


def lone_braces(template: str) -> int | None:
    """Return where braces stand that begin or end no placeholder, which a caller would hear."""
    blank = PLACEHOLDER.sub(lambda match: " " * len(match[0]), template)
    found = _BRACES.search(blank)
    return None if found is None else found.start()


def plain(value: str) -> str:
    """Return `value` as one short line that cannot pass for a part of the text around it.

    Callers choose some facts themselves (a display name, for one). Line breaks would let a value
    open a section of its own, invisible characters would hide text from people who read a log.
    """
    visible = (c for c in value if c.isspace() or not unicodedata.category(c).startswith("C"))
    return " ".join("".join(visible).split())[:MAX_VALUE_LENGTH].rstrip()


def fill(template: str, facts: Mapping[str, str]) -> str:
    """Return `template` with every placeholder replaced; braces inside a value stay as they are.

    Raises:
        UnknownFact: The template uses a name that `facts` does not have.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in facts:
            raise UnknownFact(name)
        return plain(facts[name])

    return PLACEHOLDER.sub(value, template)
