"""The reflex: a peer that answers at once, so that a measured delay is all somebody else's.

No model is loaded and nothing is recognised. What happens, exactly:

- An append (of any length) with a sample of at least 0.05 of full scale *is* a burst, if the reflex
  is armed. It is armed at the start, and again after 200 ms of audio without such a sample. Each
  append counts on its own: quiet is measured in whole appends.
- The append that holds the burst is answered in the same instant, before the next one is read:
  `speech_started`, (a running response is cancelled, `turn_detected`), `speech_stopped`,
  `committed`, the user item, its transcript ("burst"), and a response: 200 ms of a 1000 Hz tone,
  its first 40 ms as a delta of their own. Sound that goes on changes nothing.
- `response.create` is answered by a greeting tone of 440 Hz, 10 s unless told otherwise, streamed
  20 times faster than real time; a burst meanwhile cancels it as above.
- `create_response: false`, `interrupt_response: false` and `turn_detection: null` are obeyed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from local.realtime.brain import Act, Prompt, Say
from local.realtime.configuration import SAMPLE_RATE, SemanticVad, ServerVad
from local.realtime.turns import HEARING_RATE, Heard, Samples, Signal

__all__ = ["ReflexBrain", "ReflexEars", "ReflexScribe", "ToneVoice", "tone"]

_THRESHOLD = 0.05 * 32768
_QUIET_MS = 200

_ANSWER = "beep"
_GREETING = "tone"


@dataclass
class ReflexEars:
    """Hears bursts."""

    silence_ms: int = 0
    _quiet_ms: float = _QUIET_MS
    _elapsed_ms: float = 0.0
    _burst: list[Samples] = field(default_factory=list)

    async def listen(
        self, pcm: bytes, detection: ServerVad | SemanticVad | None
    ) -> tuple[Heard, ...]:
        """Say that a turn started and ended when a burst is in these samples."""
        samples = np.frombuffer(pcm, np.int16)
        began, self._elapsed_ms = self._elapsed_ms, self._elapsed_ms + _milliseconds(pcm)
        if detection is None:
            self._burst.append(_as_long(samples))
            return ()
        # As int32, for -32768 has no positive twin in 16 bits.
        if not len(samples) or np.abs(samples.astype(np.int32)).max() < _THRESHOLD:
            self._quiet_ms += _milliseconds(pcm)
            return ()
        armed, self._quiet_ms = self._quiet_ms >= _QUIET_MS, 0.0
        if not armed:
            return ()
        self._burst = [_as_long(samples)]
        return (
            Heard(Signal.STARTED, round(began)),
            Heard(Signal.ENDED, round(self._elapsed_ms)),
        )

    def collected(self) -> Samples:
        """Return as much silence as the turn was long."""
        return np.concatenate(self._burst) if self._burst else np.zeros(0, np.float32)

    def clear(self) -> None:
        """Forget the present turn."""
        self._burst.clear()


def _as_long(samples: NDArray[np.int16]) -> Samples:
    """Return as much silence at the rate of hearing."""
    return np.zeros(len(samples) * HEARING_RATE // SAMPLE_RATE, np.float32)


def _milliseconds(pcm: bytes) -> float:
    return len(pcm) / 2 * 1000 / SAMPLE_RATE


class ReflexScribe:
    """Calls everything a burst."""

    async def transcribe(self, samples: Samples) -> str:
        """Return the same word always."""
        del samples
        return "burst"


class ReflexBrain:
    """A short tone for the caller, a long one for the client."""

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        """Yield one tone."""
        yield Say(_GREETING if prompt.requested else _ANSWER)

    def foresee(self, prompt: Prompt) -> str | None:
        """Return nothing: a tone needs no preparation."""
        del prompt
        return None


class ToneVoice:
    """Plays both tones, computed once."""

    def __init__(self, greeting_seconds: float = 10.0) -> None:
        self._tones = {_ANSWER: tone(1000, 0.2), _GREETING: tone(440, greeting_seconds)}

    async def say(self, sentence: str, *, speed: float = 1.0) -> bytes:
        """Return the tone of that name."""
        del speed
        return self._tones[sentence]

    def prepare(self, sentence: str, *, speed: float = 1.0) -> None:
        """Do nothing: both are ready."""


def tone(frequency: float, seconds: float) -> bytes:
    """Return a tone at a quarter of full scale that begins and ends on a zero."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (8192 * np.sin(2 * np.pi * frequency * time)).astype(np.int16).tobytes()
