"""What the other party has said, as proof: a model can invent a quote, but not a transcript."""

from __future__ import annotations

import re
from typing import Final

from thirdring.calls import Role, Turn
from thirdring.errors import ToolRefused
from thirdring.state import CallState
from tools.confirming import Name
from tools.plain_words import has_in_a_row, plain_words
from tools.read_back import said
from tools.times import here

__all__ = [
    "CHANGED",
    "compact",
    "quoted_turn",
    "require_name_said",
    "require_reference_said",
    "said_since",
]

CHANGED: Final = "They have said something else since. Ask what holds now, and quote that."

_TRANSCRIPT_SECONDS = 1.5
"""How long the transcript of the words may come after the tool call that quotes them."""

_FEWEST_LETTERS = 3
_AS_IN = re.compile(r"\b(?:as in|like in|for)\s+[a-z]+", re.IGNORECASE)
_BETWEEN = frozenset({"dash", "hyphen", "slash", "space"})


async def quoted_turn(state: CallState, quote: str) -> Turn:
    """Return the turn of the other party that holds these words, the latest one.

    Raises:
        ToolRefused: They never said this.
    """
    await state.conversation.wait_until_understood(_TRANSCRIPT_SECONDS)
    wanted = plain_words(quote)
    for turn in reversed(state.conversation.turns):
        if turn.role is Role.CALLER and wanted and has_in_a_row(plain_words(turn.text), wanted):
            return turn
    raise ToolRefused(
        "Nobody has said these words. Quote what the other party said, word for word; if they have "
        "not answered yet, ask them."
    )


def said_since(state: CallState, turn: Turn) -> list[str]:
    """Return what the other party has said after a turn of theirs, in order."""
    theirs = _theirs(state)
    return [later.text for later in theirs[theirs.index(turn) + 1 :]]


def require_reference_said(state: CallState, reference: str) -> None:
    """Return when the other party has said a number or code; letters may have been spelled.

    Raises:
        ToolRefused: They never said it.
    """
    wanted = compact(reference)
    words = "\n".join(compact(turn.text) for turn in _theirs(state))
    if len(wanted) < _FEWEST_LETTERS or wanted not in words:
        raise ToolRefused(
            "They have not said this reference. Ask them for it, and to spell it if need be."
        )


def require_name_said(state: CallState, name: str) -> None:
    """Return when the other party has said a name.

    Raises:
        ToolRefused: They never said it.
    """
    words, today = " ".join(turn.text for turn in _theirs(state)), here(state).date()
    if not said(Name(name), words, home=state.line.number, today=today):
        raise ToolRefused("They have not said this name. Ask whom you are speaking with.")


def _theirs(state: CallState) -> list[Turn]:
    return [turn for turn in state.conversation.turns if turn.role is Role.CALLER]


def compact(text: str) -> str:
    """Return a number or code without the spaces of somebody who spells it, numbers in digits."""
    words = plain_words(_AS_IN.sub(" ", text))
    return "".join(word for word in words if word not in _BETWEEN)
