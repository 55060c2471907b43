"""G.711, the codec of the telephone network: mu-law and A-law by table (ITU-T G.711)."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALAW_SILENCE",
    "MULAW_SILENCE",
    "Samples",
    "alaw_decode",
    "alaw_encode",
    "mulaw_decode",
    "mulaw_encode",
]

Samples = npt.NDArray[np.int16]
"""Linear PCM, 16 bit, one channel."""

MULAW_SILENCE: Final = 0xFF
ALAW_SILENCE: Final = 0xD5


def _mulaw_table() -> Samples:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4) & 0x07
    mantissa = (code & 0x0F).astype(np.int32)
    magnitude = (((mantissa << 3) + 0x84) << exponent.astype(np.int32)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> Samples:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = ((code >> 4) & 0x07).astype(np.int32)
    mantissa = (code & 0x0F).astype(np.int32)
    linear = (mantissa << 4) + 8
    magnitude = np.where(exponent == 0, linear, (linear + 0x100) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _nearest(decoding: Samples, silence: int) -> npt.NDArray[np.uint8]:
    """Return the code with the nearest value for each 16-bit sample, from -32768 on.

    Two codes of mu-law decode to 0; `silence` is the one to use.
    """
    order = np.argsort(decoding, kind="stable")
    values = decoding[order].astype(np.int32)
    middles = (values[:-1] + values[1:]) / 2
    codes = order[np.searchsorted(middles, np.arange(-32768, 32768))].astype(np.uint8)
    codes[decoding[codes] == decoding[silence]] = silence
    return codes


_MULAW_DECODING: Final = _mulaw_table()
_ALAW_DECODING: Final = _alaw_table()
_MULAW_ENCODING: Final = _nearest(_MULAW_DECODING, MULAW_SILENCE)
_ALAW_ENCODING: Final = _nearest(_ALAW_DECODING, ALAW_SILENCE)


def mulaw_decode(data: bytes) -> Samples:
    """Return one sample per byte."""
    return _MULAW_DECODING[np.frombuffer(data, np.uint8)]


def mulaw_encode(samples: Samples) -> bytes:
    """Return one byte per sample, each the nearest that mu-law can say."""
    return _MULAW_ENCODING[samples.astype(np.int32) + 32768].tobytes()


def alaw_decode(data: bytes) -> Samples:
    """Return one sample per byte."""
    return _ALAW_DECODING[np.frombuffer(data, np.uint8)]


def alaw_encode(samples: Samples) -> bytes:
    """Return one byte per sample, each the nearest that A-law can say."""
    return _ALAW_ENCODING[samples.astype(np.int32) + 32768].tobytes()
