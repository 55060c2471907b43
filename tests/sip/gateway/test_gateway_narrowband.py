"""The room's sound at the telephone's rate, measured sine by sine."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sip.gateway.narrowband import ROOM_RATE, Narrowing

_FRAME = ROOM_RATE // 100


def _narrowed(frequency: float) -> tuple[float, int]:
    """Return the level that a sine has afterwards, in dB against before, and how many samples."""
    time = np.arange(ROOM_RATE) / ROOM_RATE
    sine = (10000 * np.sin(2 * np.pi * frequency * time)).astype(np.int16)
    narrowing = Narrowing()
    frames = [narrowing.narrow(sine[at : at + _FRAME]) for at in range(0, len(sine), _FRAME)]
    assert {len(frame) for frame in frames} == {160}
    heard = np.frombuffer(b"".join(frames), np.int16).astype(np.float64)
    rms = math.sqrt(float(np.mean(heard[100:] ** 2)))
    return 20 * math.log10(max(rms, 0.1) / (10000 / math.sqrt(2))), len(heard)


@pytest.mark.parametrize("frequency", [60, 300, 1000, 2000, 3000, 3400])
def test_what_a_telephone_carries_keeps_its_level(frequency: float) -> None:
    """From hum to 3.4 kHz nothing changes by more than 0.2 dB, and a second stays a second."""
    level, samples = _narrowed(frequency)
    assert abs(level) < 0.2
    assert samples == 8000


@pytest.mark.parametrize("frequency", [4600, 5000, 7000, 11000])
def test_nothing_folds_back_into_speech(frequency: float) -> None:
    """What would alias to below 3.4 kHz is 45 dB down."""
    assert _narrowed(frequency)[0] < -45


def test_the_loudest_sound_does_not_wrap_over() -> None:
    """A square wave at full scale overshoots in the filter, and is clipped."""
    square = np.where(np.arange(2400) // 40 % 2, 32767, -32768).astype(np.int16)
    heard = np.frombuffer(Narrowing().narrow(square), np.int16).astype(np.int32)
    assert int(np.abs(np.diff(heard)).max()) < 65000
    assert heard.max() == 32767
    assert heard[200:].min() == -32768
