"""Words for a caller who waits for a tool, in the voice that they talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from livekit.agents import RunContext
from livekit.agents.voice import SpeechHandle

from thirdring.state import CallState

__all__ = ["FILLER_SECONDS", "filled"]

FILLER_SECONDS = 1.0
"""Of silence, before the caller is asked for patience."""

_ASK: Final = (
    "The caller is waiting while you look something up. Ask them for a moment in one short"
    ' sentence, such as "One moment, please.", in the language of the conversation. Say nothing'
    " else, promise nothing."
)


@asynccontextmanager
async def filled(ctx: RunContext[CallState]) -> AsyncIterator[None]:
    """Have the model ask for a moment when what is inside takes long; once, and nobody over it."""
    state = ctx.userdata

    def ask(_step: int) -> SpeechHandle | None:
        if state.end_requested.is_set() or (state.filler is not None and not state.filler.done()):
            return None
        state.filler = ctx.session.generate_reply(instructions=_ASK, tool_choice="none")
        return state.filler

    async with ctx.with_filler(ask, delay=FILLER_SECONDS):
        yield
