"""Performs the steps of a script in a live call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Final, assert_never

from local.caller.call import LiveCall
from local.caller.commentary import Commentary
from local.caller.errors import CallNotAsPlanned
from local.caller.g711 import Samples
from local.caller.hearing import WORDS_PER_SECOND
from local.caller.packets import UtteranceKind
from local.caller.script import (
    Burst,
    Expectation,
    ExpectKeys,
    HangUp,
    Interrupt,
    Interruption,
    Keys,
    Pause,
    Play,
    Press,
    Quiet,
    Say,
    Script,
    StaySilent,
    Step,
    Wait,
    WaitHangUp,
)
from local.caller.voice import Voice, read_wav, tone

__all__ = ["BURST", "Sounds", "perform", "sounds_of"]

BURST: Final = tone(1400.0, 20)
"""One packet of sound, in the middle of what a telephone lets through."""

Sounds = Mapping[int, Samples]
"""What is to be heard, by the number of the step."""


def sounds_of(script: Script, voice: Voice) -> Sounds:
    """Return all that a script makes heard, spoken and read beforehand."""
    sounds: dict[int, Samples] = {}
    for number, step in enumerate(script.steps):
        match step:
            case Say(say=text) | Interrupt(interrupt=Interruption(say=text)):
                sounds[number] = voice.speak(text)
            case Play(play=path):
                sounds[number] = read_wav(path)
            case Burst():
                sounds[number] = BURST
            case _:
                pass
    return sounds


async def perform(script: Script, call: LiveCall, commentary: Commentary, sounds: Sounds) -> None:
    """Perform every step in an answered call.

    Raises:
        CallNotAsPlanned: What a step waits for does not happen, or the call ends first.
    """
    performer = _Performer(call, commentary)
    for number, step in enumerate(script.steps):
        commentary.tell("step", number=number, step=step.model_dump(mode="json"))
        await performer.perform(step, sounds.get(number))


class _Performer:
    def __init__(self, call: LiveCall, commentary: Commentary) -> None:
        self._call = call
        self._commentary = commentary

    async def perform(self, step: Step, sound: Samples | None) -> None:  # noqa: C901 - one case per step
        match step:
            case Say(say=text):
                await self._sound(sound, text, UtteranceKind.SAY)
            case Play(play=path):
                await self._sound(sound, path.name, UtteranceKind.PLAY)
            case Burst():
                await self._sound(sound, "burst", UtteranceKind.BURST)
            case Interrupt(interrupt=interruption):
                await self._until_speaking(interruption)
                await self._sound(sound, interruption.say, UtteranceKind.SAY)
            case Press(press=digits):
                await self._press(digits)
            case ExpectKeys(expect_keys=keys):
                await self._expect_keys(keys)
            case Wait(wait=expectation):
                await self._wait(expectation)
            case Pause(pause_ms=milliseconds):
                await self._stay_silent(Quiet(seconds=milliseconds / 1000))
            case StaySilent(stay_silent=quiet):
                await self._stay_silent(quiet)
            case WaitHangUp(wait_hang_up=seconds):
                await self._wait_hang_up(seconds)
            case HangUp():
                await self._call.hang_up()
            case _:
                assert_never(step)

    async def _sound(self, sound: Samples | None, text: str, kind: UtteranceKind) -> None:
        assert sound is not None
        self._call.media.transmit(on=True)
        self._commentary.tell("speaking", kind=kind, text=text)
        utterance = await self._call.play(sound, text, kind)
        self._call.hearing.listen_anew()
        self._commentary.tell("spoken", utterance.ended_at, kind=kind, text=text)

    async def _press(self, digits: str) -> None:
        self._call.media.transmit(on=True)
        self._call.hearing.listen_anew()
        utterance = await self._call.press(digits)
        self._commentary.tell("spoken", utterance.ended_at, kind=utterance.kind, text=digits)

    async def _wait(self, expectation: Expectation) -> None:
        hearing = self._call.hearing
        if expectation.silence_ms is None:
            await self._expect(hearing.speech(), "to speak", expectation.timeout_s)
            return
        what = f"to speak and then be quiet for {expectation.silence_ms} ms"
        silence = hearing.silence(expectation.silence_ms / 1000)
        await self._expect(silence, what, expectation.timeout_s)

    async def _expect_keys(self, expected: Keys) -> None:
        keys = self._call.keys
        try:
            pressing = self._in_call(
                keys.expect(expected.keys),
                f"while waiting for the keys {expected.keys}",
                expected.timeout_s,
            )
            if await pressing:
                return
        except ValueError as other:
            raise CallNotAsPlanned(
                f"the agent pressed {other}, not the keys {expected.keys}"
            ) from other
        raise CallNotAsPlanned(
            f"waited {expected.timeout_s:g} s in vain for the keys {expected.keys}; the agent "
            f"pressed {keys.fresh or 'none'}"
        )

    async def _until_speaking(self, interruption: Interruption) -> None:
        if interruption.after_words is None:
            seconds = (interruption.after_ms or 0) / 1000
        else:
            seconds = interruption.after_words / WORDS_PER_SECOND
        # Even after no words at all there has to be speech to interrupt.
        speaking = self._call.hearing.spoken_for(max(seconds, 0.001))
        await self._expect(speaking, f"to speak for {seconds:g} s", interruption.timeout_s)

    async def _expect(
        self, waiting: Coroutine[None, None, object], what: str, timeout: float
    ) -> None:
        """Wait for the agent to do something, while the call lasts."""
        if not await self._in_call(waiting, f"while waiting for the agent {what}", timeout):
            raise CallNotAsPlanned(f"waited {timeout:g} s in vain for the agent {what}")

    async def _in_call(
        self, waiting: Coroutine[None, None, object], when: str, timeout: float | None = None
    ) -> bool:
        """Return whether `waiting` came to its end in time; raise when the call ends first."""
        task = asyncio.ensure_future(waiting)
        try:
            await asyncio.wait(
                (task, self._call.ended), timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if task.done():
                task.result()
                return True
            if self._call.ended.done():
                raise self._call.cut_off_error(when)
            return False
        finally:
            task.cancel()

    async def _stay_silent(self, quiet: Quiet) -> None:
        self._call.media.transmit(on=quiet.rtp)
        await self._in_call(asyncio.sleep(quiet.seconds), "while the caller was silent")
        self._call.media.transmit(on=True)

    async def _wait_hang_up(self, seconds: float) -> None:
        await asyncio.wait((self._call.ended,), timeout=seconds)
        if not self._call.ended.done():
            raise CallNotAsPlanned(f"the far end did not hang up within {seconds:g} s")
