"""What the caller hears while the call runs, so that a script can wait for it.

A *fresh* start of speech has 100 ms of quiet before it; the tail of an agent that was interrupted
is therefore not taken for its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

from local.caller.packets import ReceivedPacket, is_loud
from local.caller.rtp import FRAME_SECONDS

__all__ = ["WORDS_PER_SECOND", "Hearing"]

WORDS_PER_SECOND: Final = 2.5
"""How fast agents speak, about; pauses shorter than `_PAUSE` count as speech."""

_FRESH_AFTER: Final = 0.1
_PAUSE: Final = 0.3


class Hearing:
    """Follows the agent's audio; fed packet by packet, in the event loop.

    Attributes:
        first: When the agent was first heard.
    """

    def __init__(self) -> None:
        self.first: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._last_loud: float | None = None
        self._begun: float | None = None
        self._speech_began: float | None = None
        self._ignored_until = 0.0
        self._changed = asyncio.Event()

    def feed(self, packet: ReceivedPacket) -> None:
        """Take the next audio packet."""
        if is_loud(packet):
            self._hear(packet.at)
        self._changed.set()

    def _hear(self, at: float) -> None:
        quiet = float("inf") if self._last_loud is None else at - self._last_loud
        if quiet >= _FRESH_AFTER and at >= self._ignored_until and self._begun is None:
            self._begun = at
        if quiet >= _PAUSE:
            self._speech_began = at
        if not self.first.done():
            self.first.set_result(at)
        self._last_loud = at

    def listen_anew(self) -> None:
        """Forget what was heard so far; only speech that begins from now on counts."""
        self._begun = None
        self._ignored_until = time.monotonic()

    @property
    def speech_seconds(self) -> float:
        """How long the agent has been speaking without a pause; 0 when it is quiet."""
        if self._speech_began is None or self._last_loud is None or self.quiet_seconds >= _PAUSE:
            return 0.0
        return self._last_loud - self._speech_began + FRAME_SECONDS

    @property
    def quiet_seconds(self) -> float:
        """How long the agent has been quiet, for ever when it never spoke."""
        if self._last_loud is None:
            return float("inf")
        return max(0.0, time.monotonic() - self._last_loud - FRAME_SECONDS)

    async def speech(self) -> float:
        """Wait until the agent has begun to speak since `listen_anew`; return when it began."""
        while self._begun is None:
            await self._next_packet()
        return self._begun

    async def silence(self, seconds: float) -> None:
        """Wait until the agent has spoken since `listen_anew` and then been quiet for so long."""
        await self.speech()
        while (missing := seconds - self.quiet_seconds) > 0:
            # A far end that sends nothing at all is quiet too.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._next_packet(), missing)

    async def spoken_for(self, seconds: float) -> None:
        """Wait until the agent has been speaking for so long at a stretch."""
        while self.speech_seconds < seconds:
            await self._next_packet()

    async def _next_packet(self) -> None:
        self._changed.clear()
        await self._changed.wait()
