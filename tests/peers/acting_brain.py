"""A model that does what a test wrote down, one act for each reply that it is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator

from local.realtime.brain import Act, Prompt, Say

__all__ = ["ActingBrain"]


class ActingBrain:
    """Says "Yes." when nothing is left to do."""

    def __init__(self, *acts: Act) -> None:
        self.acts = deque(acts)

    async def reply(self, _prompt: Prompt) -> AsyncGenerator[Act]:
        """Yield the next act."""
        yield self.acts.popleft() if self.acts else Say("Yes.")

    def foresee(self, _prompt: Prompt) -> str | None:
        """Nothing is known ahead."""
        return None
