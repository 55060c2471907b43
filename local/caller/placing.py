"""Places a call, performs a script in it and measures: what the command and the demo use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from local.caller.call import LiveCall, open_call
from local.caller.commentary import CallEvent, Commentary
from local.caller.errors import CallNotAsPlanned
from local.caller.measure import Measures, measure
from local.caller.performer import perform, sounds_of
from local.caller.recording import write_recording
from local.caller.script import Script
from local.caller.voice import CallerVoice, Voice

__all__ = ["SPEECH_CACHE", "CallResult", "place_call"]

SPEECH_CACHE: Final = Path(".cache/speech")


class CallResult(BaseModel):
    """How a call went.

    Attributes:
        completed: Every step was performed.
        problem: Why not, in one line.
        status: The SIP status of a refused call.
        ended_by: Who hung up; None for a call that was never answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    caller: str
    completed: bool
    problem: str | None
    status: int | None
    ended_by: Literal["caller", "far_end"] | None
    measures: Measures
    recording: str | None = None


async def place_call(
    target: str,
    script: Script,
    *,
    caller: str = "+12025550199",
    voice: Voice | None = None,
    recording: Path | None = None,
    on_event: Callable[[CallEvent], None] | None = None,
) -> CallResult:
    """Speak all texts, then place one call and perform the script in it.

    A call that does not go as planned is a result too: `completed` is False, `problem` says why.

    Args:
        target: Such as `sip:+12025550142@127.0.0.1:5060`.
        caller: The user part of our own address.
        voice: Speaks the script's texts; Piper with a cache in `.cache/speech` when None.
        recording: Where the stereo WAV goes; None for none.
        on_event: Called in the event loop with everything that happens.

    Raises:
        CallerError: The call cannot be placed at all: address, voice, a file of the script.
    """
    sounds = await asyncio.to_thread(sounds_of, script, voice or CallerVoice(SPEECH_CACHE))
    commentary = Commentary(on_event)
    problem: CallNotAsPlanned | None = None
    async with open_call(
        target, caller=caller, transmit=script.rtp, on_event=commentary.take
    ) as call:
        call.hearing.first.add_done_callback(lambda first: _tell_first(first, commentary))
        try:
            await call.wait_for_answer()
            await perform(script, call, commentary, sounds)
        except CallNotAsPlanned as error:
            problem = error
    return await asyncio.to_thread(_result, call, target, caller, problem, recording)


def _tell_first(first: asyncio.Future[float], commentary: Commentary) -> None:
    if not first.cancelled():
        commentary.tell("audio_started", first.result())


def _result(
    call: LiveCall,
    target: str,
    caller: str,
    problem: CallNotAsPlanned | None,
    recording: Path | None,
) -> CallResult:
    log = call.log()
    if recording is not None:
        write_recording(log, recording)
    answered = log.answered_at is not None
    return CallResult(
        target=target,
        caller=caller,
        completed=problem is None,
        problem=None if problem is None else str(problem),
        status=None if problem is None else problem.status,
        ended_by=call.ended.result().by if answered and call.ended.done() else None,
        measures=measure(log),
        recording=None if recording is None else str(recording),
    )
