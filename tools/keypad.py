"""The keys of the telephone: answering menus that ask for them."""

from __future__ import annotations

import difflib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from livekit.agents import RunContext, StopResponse, function_tool

from thirdring.errors import ToolRefused
from thirdring.state import CallState
from tools.far_end import FarEnd, far_end, heard
from tools.guard import guarded
from tools.plain_words import plain_words

__all__ = ["MOST_KEYS", "press_keys"]

MOST_KEYS: Final = 120
"""In one call, whatever the menus say."""

_SAME_MENU: Final = 0.85
_TRIES: Final = 2
_MENU_KEYS: Final = 2
"""So many digits choose an entry of a menu; more of them are a number that somebody has."""

_KEYS = re.compile(r"[0-9*#]{1,24}")
_FORMS: Final = ("%m%d%Y", "%m%d%y", "%Y%m%d", "%d%m%Y")


@dataclass
class _Pressed:
    """What was pressed in this call, and to which words."""

    by_menu: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0

    def tries(self, menu: str, keys: str) -> int:
        return sum(
            1
            for words, pressed in self.by_menu
            if pressed == keys and _similar(words, menu) >= _SAME_MENU
        )


@asynccontextmanager
async def _nothing_pressed() -> AsyncIterator[_Pressed]:
    yield _Pressed()


@function_tool
@guarded
async def press_keys(ctx: RunContext[CallState], keys: str) -> str:
    """Press keys of the telephone, for a menu that asks for them. Then listen.

    Args:
        keys: Digits, * and # in the order in which they are pressed, such as 2 or 123456789#.
    """
    state = ctx.userdata
    wanted = re.sub(r"[\s,-]", "", keys)
    if not _KEYS.fullmatch(wanted):
        raise ToolRefused("The keys are digits, * and #, at most 24 of them.")
    if state.keypad is None:
        raise ToolRefused("No keys can be pressed on this call. Say it in words.")
    who = await far_end(state)
    if who in (FarEnd.HUMAN, FarEnd.VOICEMAIL):
        raise ToolRefused(f"This is no menu but a {who}: nothing is pressed.")
    _require_known(wanted, state)
    pressed = await state.port(_Pressed, _nothing_pressed)
    menu = " ".join(plain_words(heard(state)))
    if pressed.tries(menu, wanted) >= _TRIES:
        raise ToolRefused(
            "These keys led back to the same menu twice. Press others, such as 0 for a person; if "
            "nothing else is left, end the call."
        )
    if pressed.count + len(wanted) > MOST_KEYS:
        raise ToolRefused("Too many keys were pressed in this call. End it.")
    pressed.by_menu.append((menu, wanted))
    pressed.count += len(wanted)
    await state.keypad.press(wanted)
    # Whatever would be said now would be said into the menu.
    raise StopResponse


def _similar(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _require_known(keys: str, state: CallState) -> None:
    """Return when a longer number is one that the agent was given: none is made up."""
    digits = re.sub(r"\D", "", keys)
    if len(digits) <= _MENU_KEYS:
        return
    if not any(digits in number for number in _numbers(state)):
        raise ToolRefused(
            "Nobody gave you this number. Press numbers that you were told, digit by digit; if you "
            "have none, press 0 for a person."
        )


def _numbers(state: CallState) -> Iterator[str]:
    given = [] if state.errand is None else [str(value) for value in state.errand.details.values()]
    for text in (*given, *state.business.facts.values()):
        yield re.sub(r"\D", "", text)
        with suppress(ValueError):
            day = date.fromisoformat(text)
            yield from (day.strftime(form) for form in _FORMS)
