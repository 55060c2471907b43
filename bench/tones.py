"""Tells one tone from another in telephone audio, packet by packet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from local.caller.g711 import Samples
from local.caller.rtp import CLOCK_RATE

__all__ = ["level_of_tone", "strongest_tone"]

_WINDOW: Final = 80


def strongest_tone(samples: Samples, apart_from: float | None = None) -> float:
    """Return the frequency of the strongest tone in Hz, to about 5 Hz.

    Args:
        apart_from: A tone that does not count, nor what is within 150 Hz of it.
    """
    padded = 4096
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), padded))
    frequencies = np.fft.rfftfreq(padded, 1 / CLOCK_RATE)
    if apart_from is not None:
        spectrum[np.abs(frequencies - apart_from) < 150] = 0
    return float(frequencies[np.argmax(spectrum)])


def level_of_tone(samples: Samples, frequency: float, others: Sequence[float] = ()) -> float:
    """Return the level (dBFS, RMS) of one tone in the 10 ms of the clip where it is strongest.

    Windows of 10 ms find the last few milliseconds of a tone; `others` are tones that may sound
    besides and are fitted as well, else their beginning would look like a little of everything.
    """
    time = np.arange(_WINDOW) / CLOCK_RATE
    waves = [wave(2 * np.pi * f * time) for f in (frequency, *others) for wave in (np.sin, np.cos)]
    basis = np.stack(waves, axis=1)
    strongest = 0.0
    for start in range(0, len(samples) - _WINDOW + 1, _WINDOW):
        fitted, *_ = np.linalg.lstsq(basis, samples[start : start + _WINDOW].astype(float))
        strongest = max(strongest, math.hypot(fitted[0], fitted[1]))
    return 20 * math.log10(max(strongest, 1e-3) / 32768 / math.sqrt(2))
