"""G.711 by table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.caller.g711 import (
    ALAW_SILENCE,
    MULAW_SILENCE,
    Samples,
    alaw_decode,
    alaw_encode,
    mulaw_decode,
    mulaw_encode,
)

CODES = bytes(range(256))
LAWS = pytest.mark.parametrize(
    ("decode", "encode"), [(mulaw_decode, mulaw_encode), (alaw_decode, alaw_encode)]
)


@LAWS
@given(samples=st.lists(st.integers(-32768, 32767), min_size=1))
def test_encoding_takes_the_nearest_code(
    decode: Callable[[bytes], Samples], encode: Callable[[Samples], bytes], samples: list[int]
) -> None:
    """No other code is nearer to a sample than the one that was chosen."""
    heard = decode(encode(np.array(samples, np.int16))).astype(int)
    every = decode(CODES).astype(int)
    for sample, got in zip(samples, heard, strict=True):
        assert abs(sample - got) == np.abs(every - sample).min()


@LAWS
def test_codes_survive(
    decode: Callable[[bytes], Samples], encode: Callable[[Samples], bytes]
) -> None:
    """What was decoded encodes to the same sound again."""
    assert np.array_equal(decode(encode(decode(CODES))), decode(CODES))


def test_the_tables_are_those_of_the_standard() -> None:
    """Known points of ITU-T G.711, as every other implementation has them."""
    assert mulaw_decode(bytes([0x00, 0x80, 0xFF, 0x8F])).tolist() == [-32124, 32124, 0, 16764]
    assert alaw_decode(bytes([0x55, 0xD5, 0x2A, 0xAA])).tolist() == [-8, 8, -32256, 32256]


def test_silence_encodes_to_the_code_of_a_quiet_line() -> None:
    """Zero is mu-law 0xff, not its twin 0x7f; A-law has no zero, and 0xd5 is next to it."""
    zero = np.zeros(1, np.int16)
    assert mulaw_encode(zero) == bytes([MULAW_SILENCE])
    assert alaw_encode(zero) in (bytes([ALAW_SILENCE]), bytes([0x55]))
