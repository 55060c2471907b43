"""When the caller speaks: voice activity becomes onset, pause and end of turn.

`TurnDetector` is pure: one probability per 32 ms window in, signals out. `VadEars` feeds it from a
stream of 24 kHz audio and keeps the samples of the turn. Times count from the first sample that
the connection appended, as the API counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from local.realtime.configuration import SAMPLE_RATE, SemanticVad, ServerVad

__all__ = [
    "HEARING_RATE",
    "WINDOW",
    "Ears",
    "Heard",
    "Patience",
    "Samples",
    "Signal",
    "TurnDetector",
    "VadEars",
    "VoiceActivity",
    "as_heard",
    "patience",
]

Samples = NDArray[np.float32]

HEARING_RATE = 16000
WINDOW = 512
"""Samples per probability: what Silero takes at 16 kHz."""
WINDOW_MS = WINDOW * 1000 // HEARING_RATE

_ONSET_WINDOWS = 3
_PAUSE_WINDOWS = 3
_MINIMUM_PREFIX_MS = 300
"""Onset is certain 96 ms late and soft consonants come before it: less would cut the first word."""
_LONGEST_TURN_MS = 30_000
"""Moonshine takes no longer segments; a line with a constant noise must not collect for ever."""


class Signal(StrEnum):
    """What a window of audio changed."""

    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    ENDED = "ended"


@dataclass(frozen=True)
class Heard:
    """A signal and its time in the stream."""

    signal: Signal
    at_ms: int


@dataclass(frozen=True)
class Patience:
    """How much silence ends a turn.

    Attributes:
        finished_ms: When the words so far sound complete.
        unfinished_ms: When they do not, or are not known yet.
    """

    finished_ms: int
    unfinished_ms: int


_EAGERNESS = {
    "high": Patience(320, 800),
    "auto": Patience(420, 1200),
    "medium": Patience(420, 1200),
    "low": Patience(700, 2000),
}


def patience(detection: ServerVad | SemanticVad) -> Patience:
    """Return the silence that ends a turn under these settings."""
    if isinstance(detection, ServerVad):
        return Patience(detection.silence_duration_ms, detection.silence_duration_ms)
    return _EAGERNESS[detection.eagerness]


class VoiceActivity(Protocol):
    """Tells how likely a window holds speech; keeps the state of one stream."""

    async def probabilities(self, windows: Samples) -> list[float]:
        """Return one probability per row of an array (n, WINDOW)."""
        ...


class Ears(Protocol):
    """One connection's hearing."""

    silence_ms: int

    async def listen(
        self, pcm: bytes, detection: ServerVad | SemanticVad | None
    ) -> tuple[Heard, ...]:
        """Take audio in and say what it changed; only collects when `detection` is None."""
        ...

    def collected(self) -> Samples:
        """Return the audio of the present turn at 16 kHz."""
        ...

    def clear(self) -> None:
        """Forget the present turn."""
        ...


@dataclass
class TurnDetector:
    """Onset after 96 ms of speech, a pause after 96 ms of silence, the end as long as asked."""

    speaking: bool = False
    _loud: int = 0
    _quiet: int = 0

    def step(self, probability: float, *, threshold: float, silence_ms: int) -> Signal | None:
        """Take the next window; speech counts from `threshold`, silence from 0.15 below it."""
        if not self.speaking:
            self._loud = self._loud + 1 if probability >= threshold else 0
            if self._loud < _ONSET_WINDOWS:
                return None
            self.speaking, self._quiet = True, 0
            return Signal.STARTED
        if probability >= max(threshold - 0.15, 0.05):
            paused, self._quiet = self._quiet >= _PAUSE_WINDOWS, 0
            return Signal.RESUMED if paused else None
        self._quiet += 1
        if self._quiet * WINDOW_MS >= silence_ms:
            self.reset()
            return Signal.ENDED
        return Signal.PAUSED if self._quiet == _PAUSE_WINDOWS else None

    def reset(self) -> None:
        """Wait for the next onset."""
        self.speaking, self._loud, self._quiet = False, 0, 0


def as_heard(pcm: bytes) -> Samples:
    """Return 24 kHz PCM at the rate of hearing."""
    resampler = rtc.AudioResampler(SAMPLE_RATE, HEARING_RATE)
    frames = [*resampler.push(bytearray(pcm)), *resampler.flush()] if pcm else []
    parts = [np.frombuffer(frame.data, np.int16).astype(np.float32) / 32768 for frame in frames]
    return np.concatenate([np.zeros(0, np.float32), *parts])


@dataclass
class VadEars:
    """Hears by voice activity.

    Attributes:
        silence_ms: What ends the present turn; the session shortens it when the words so far
            sound complete.
    """

    activity: VoiceActivity
    silence_ms: int = 500
    _detector: TurnDetector = field(default_factory=TurnDetector)
    _resampler: rtc.AudioResampler = field(
        default_factory=lambda: rtc.AudioResampler(
            SAMPLE_RATE, HEARING_RATE, quality=rtc.AudioResamplerQuality.QUICK
        )
    )
    _pending: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    _turn: list[Samples] = field(default_factory=list)
    _elapsed: int = 0
    """Windows seen on this connection."""

    async def listen(
        self, pcm: bytes, detection: ServerVad | SemanticVad | None
    ) -> tuple[Heard, ...]:
        """Take audio in and say what it changed."""
        windows = self._windows(pcm)
        if not len(windows):
            return ()
        if detection is None:
            self._turn.extend(windows)
            self._elapsed += len(windows)
            self._detector.reset()
            return ()
        probabilities = await self.activity.probabilities(windows)
        heard = []
        for window, probability in zip(windows, probabilities, strict=True):
            if one := self._step(window, probability, detection):
                heard.append(one)
        return tuple(heard)

    def _windows(self, pcm: bytes) -> Samples:
        if not pcm:
            return np.zeros((0, WINDOW), np.float32)
        frames = self._resampler.push(bytearray(pcm))
        parts = [np.frombuffer(frame.data, np.int16).astype(np.float32) / 32768 for frame in frames]
        samples = np.concatenate([self._pending, *parts])
        count = len(samples) // WINDOW
        self._pending = samples[count * WINDOW :]
        return samples[: count * WINDOW].reshape(count, WINDOW)

    def _step(
        self, window: Samples, probability: float, detection: ServerVad | SemanticVad
    ) -> Heard | None:
        threshold, prefix_ms = 0.5, _MINIMUM_PREFIX_MS
        if isinstance(detection, ServerVad):
            threshold = detection.threshold
            prefix_ms = max(prefix_ms, detection.prefix_padding_ms)
        self._elapsed += 1
        self._turn.append(window)
        signal = self._detector.step(probability, threshold=threshold, silence_ms=self.silence_ms)
        now = self._elapsed * WINDOW_MS
        if signal is Signal.STARTED:
            self.silence_ms = patience(detection).unfinished_ms
            return Heard(signal, now - len(self._turn) * WINDOW_MS)
        if not self._detector.speaking and signal is None:
            # Not speech yet: only the run-up to it is worth keeping.
            kept = prefix_ms // WINDOW_MS + _ONSET_WINDOWS
            del self._turn[:-kept]
        elif len(self._turn) * WINDOW_MS >= _LONGEST_TURN_MS:
            self._detector.reset()
            return Heard(Signal.ENDED, now)
        return Heard(signal, now) if signal else None

    def collected(self) -> Samples:
        """Return the audio of the present turn."""
        return np.concatenate(self._turn) if self._turn else np.zeros(0, np.float32)

    def clear(self) -> None:
        """Forget the present turn."""
        self._turn.clear()
        self._detector.reset()
