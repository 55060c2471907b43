"""Until the model speaks: nobody waits in silence for it, and nobody hears two voices at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from thirdring.fixed_lines import FixedLine
from thirdring.session import PhoneAgent

__all__ = ["FirstWords"]

_CONNECTING_SECONDS: Final = 1.0
"""How long a phone rings before its caller is told that they are being connected."""

_FIRST_SOUND_SECONDS: Final = 2.5
_LAST_CHANCE_SECONDS: Final = 3.0
"""How long an answered caller waits for the model: until one moment is asked for, then until it is
given up."""


class FirstWords:
    """What a caller hears of us before the agent's first word.

    Args:
        play: Says a fixed line to the caller, which opens their line if it rings still.
        give_up: Called with the reason when the model did not begin to speak at all.

    Attributes:
        heard: To be set once the model has spoken, or has heard the caller.
    """

    def __init__(
        self,
        agent: PhoneAgent,
        play: Callable[[FixedLine], Awaitable[None]],
        give_up: Callable[[str], None],
    ) -> None:
        self.heard = asyncio.Event()
        self._agent = agent
        self._play = play
        self._give_up = give_up
        self._line_is_open = False
        self._playing = False

    def line_opened(self) -> None:
        """Let the agent be heard, as soon as no fixed line is."""
        self._line_is_open = True
        if not self._playing:
            self._agent.answered.set()

    async def watch(self, *, connecting: bool) -> None:
        """Fill the wait for the model.

        Args:
            connecting: Whether the caller is told that they are being connected, instead of ringing
                on, when the model is not there yet.
        """
        if connecting and not await _within(_CONNECTING_SECONDS, self._agent.begun):
            await self._say(FixedLine.CONNECTING)
        await self._agent.answered.wait()
        # A model can take a call and say nothing for ever, which is an error to nobody.
        if await _within(_FIRST_SOUND_SECONDS, self.heard):
            return
        await self._say(FixedLine.ONE_MOMENT)
        if not await _within(_LAST_CHANCE_SECONDS, self.heard):
            self._give_up("the model did not begin to speak")

    async def _say(self, line: FixedLine) -> None:
        self._playing = True
        self._agent.answered.clear()
        await self._play(line)
        self._playing = False
        if self._line_is_open:
            self._agent.answered.set()


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False
