"""What was said in a call so far, for those who must know it while it lasts."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from thirdring.calls import Role, Turn

__all__ = ["Conversation"]


class Conversation:
    """The turns of one call, in the order in which they were written down.

    Attributes:
        turns: Of an interrupted turn of the agent only what was heard.
        understood: Set while all that the caller has said is among the turns. A transcript may
            come after the tool call that the model answers it with.
    """

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.understood = asyncio.Event()
        self.understood.set()

    def last(self, role: Role) -> Turn | None:
        """Return what this one said last."""
        return next((turn for turn in reversed(self.turns) if turn.role is role), None)

    async def wait_until_understood(self, seconds: float) -> bool:
        """Return whether all that the caller has said is known, within `seconds` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                # Two sentences may be on their way: it is set and cleared in one go by the first.
                while not self.understood.is_set():
                    await self.understood.wait()
        return self.understood.is_set()
