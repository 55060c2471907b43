"""RTP packets and telephone events, as bytes and back (RFC 3550, RFC 3551, RFC 4733)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "CLOCK_RATE",
    "DIGITS",
    "FRAME_SAMPLES",
    "FRAME_SECONDS",
    "RtpPacket",
    "digit_payloads",
    "extended_sequences",
    "parse_rtp",
]

CLOCK_RATE: Final = 8000
FRAME_SAMPLES: Final = 160
FRAME_SECONDS: Final = FRAME_SAMPLES / CLOCK_RATE

DIGITS: Final = "0123456789*#ABCD"
"""The position of a digit is its event code (RFC 4733 section 3.2)."""

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_VERSION = 2
_VOLUME = 10  # -10 dBm0, as telephones send
_END = 0x80
_END_PACKETS = 3  # RFC 4733 section 2.5.1.4: the last packet goes out three times in all


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One packet; `timestamp` counts samples of 8 kHz."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def to_bytes(self) -> bytes:
        """Return the packet without padding, extension or contributing sources."""
        second = self.payload_type | (0x80 if self.marker else 0)
        header = _HEADER.pack(_VERSION << 6, second, self.sequence, self.timestamp, self.ssrc)
        return header + self.payload


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Return the packet, or None for anything that is not RTP (RFC 3550 section 5.1)."""
    if len(data) < _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != _VERSION:
        return None
    # RFC 5761 section 4: these second bytes are RTCP on a shared port.
    if 192 <= second <= 223:
        return None
    start = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < start + 4:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if end < start:
        return None
    return RtpPacket(
        second & 0x7F, sequence, timestamp, ssrc, data[start:end], marker=bool(second & 0x80)
    )


def digit_payloads(digit: str, *, packets: int = 5) -> Iterator[bytes]:
    """Yield the payloads of one pressed key, one per 20 ms; all share one RTP timestamp.

    Args:
        digit: One of `DIGITS`.
        packets: How many before the end of the key is told: 5 are a tone of 100 ms.
    """
    code = DIGITS.index(digit)
    for number in range(1, packets + 1):
        yield _EVENT.pack(code, _VOLUME, number * FRAME_SAMPLES)
    for _ in range(_END_PACKETS):
        yield _EVENT.pack(code, _END | _VOLUME, packets * FRAME_SAMPLES)


def extended_sequences(sequences: Sequence[int]) -> list[int]:
    """Return 16-bit numbers, in order of arrival, as numbers that do not wrap around.

    Each is taken as the one that is nearest to the highest so far, so that late packets keep
    their place (RFC 3550 appendix A.1).
    """
    extended: list[int] = []
    highest = sequences[0] if sequences else 0
    for sequence in sequences:
        step = (sequence - highest + 0x8000) % 0x10000 - 0x8000
        extended.append(highest + step)
        highest = max(highest, highest + step)
    return extended
