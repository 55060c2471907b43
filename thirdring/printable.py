"""Text of strangers, made safe to show on one line of a terminal."""

from __future__ import annotations

__all__ = ["printable"]

# Without the joiners, Persian and Hindi are misspelt; they move nothing and hide nothing.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def printable(text: str) -> str:
    """Return `text` without anything that a terminal would obey; line ends become spaces.

    Nor does it hold anything that shows text in another order than it has (Unicode TR 9).
    """
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in _JOINERS
        else " "
        if c.isspace()
        else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )
