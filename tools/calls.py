"""The call itself as something the model can act on: ending it."""

from __future__ import annotations

from livekit.agents import RunContext, function_tool
from livekit.agents.voice import SpeechHandle

from thirdring.state import CallState

__all__ = ["end_call"]


@function_tool
async def end_call(ctx: RunContext[CallState]) -> str:
    """End the phone call. Call this when the caller says goodbye or needs nothing more.

    Do not call it when the caller only pauses, or when it is unclear whether they are done.
    """
    state = ctx.userdata

    def goodbye_was_said(speech: SpeechHandle) -> None:
        # A caller who speaks over the goodbye has something to add: the call goes on.
        if not speech.interrupted:
            state.end_requested.set()

    # The goodbye is the reply to this tool's result and belongs to the same speech.
    ctx.speech_handle.add_done_callback(goodbye_was_said)
    return "The call ends after your next words. Say a short goodbye now."
