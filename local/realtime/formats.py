"""The audio formats of the wire; within the server audio is always 24 kHz PCM."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from livekit import rtc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Discriminator, Tag

from local.realtime.protocol import Refusal

__all__ = ["SAMPLE_RATE", "AudioFormat", "Decoder", "Pcm", "bytes_per_ms", "encoded"]

SAMPLE_RATE = 24000
"""Of `audio/pcm`, both ways, mono, 16 bit."""

MAX_APPEND_BYTES = 15 * 1024 * 1024
"""Of base64 text in one append, as the API reference limits it."""

_TELEPHONE_RATE = 8000
_FACTOR = SAMPLE_RATE // _TELEPHONE_RATE
_LOW_PASS = np.sinc(np.arange(-48, 49) / _FACTOR) * np.kaiser(97, 8)
"""Takes out what lies above 4 kHz between the samples; delays by 2 ms."""

Samples: TypeAlias = NDArray[np.int16]


class _Format(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pcm(_Format):
    """16-bit samples, little-endian."""

    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class Pcmu(_Format):
    """G.711 mu-law, 8 kHz."""

    type: Literal["audio/pcmu"]


class Pcma(_Format):
    """G.711 A-law, 8 kHz."""

    type: Literal["audio/pcma"]


def _kind(value: Any) -> str:
    found = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return str(found or "audio/pcm")


AudioFormat: TypeAlias = Annotated[
    Annotated[Pcm, Tag("audio/pcm")]
    | Annotated[Pcmu, Tag("audio/pcmu")]
    | Annotated[Pcma, Tag("audio/pcma")],
    Discriminator(_kind),
]


def bytes_per_ms(audio_format: AudioFormat) -> int:
    """Return how many bytes a millisecond takes on the wire."""
    rate = SAMPLE_RATE * 2 if isinstance(audio_format, Pcm) else _TELEPHONE_RATE
    return rate // 1000


@dataclass
class Decoder:
    """The caller's audio of one connection; keeps the end of what came for the next append."""

    _stuffed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(_LOW_PASS) - 1))

    def decode(self, text: str, audio_format: AudioFormat, *, at: str = "audio") -> bytes:
        """Return the samples of an append as 24 kHz PCM.

        Args:
            at: Where they stand in the event.

        Raises:
            Refusal: It is no base64, is too long, or ends within a sample.
        """
        data = _bytes_of(text, at)
        if isinstance(audio_format, Pcm):
            if len(data) % 2:
                why = f"Invalid {at!r}: 16-bit samples need an even length."
                raise Refusal("invalid_value", why, param=at)
            return data
        if not data:
            return data
        decode, _ = _codec(audio_format)
        return self._upsampled(decode(data)).tobytes()

    def _upsampled(self, narrow: Samples) -> Samples:
        """Return three samples for each, at once.

        LiveKit's resampler gives them out in blocks of 70 ms: speech would be heard that much
        later, and the end of a turn that the client commits be missing.
        """
        stuffed = np.concatenate([self._stuffed, np.zeros(len(narrow) * _FACTOR)])
        stuffed[len(self._stuffed) :: _FACTOR] = narrow
        self._stuffed = stuffed[-len(self._stuffed) :]
        wide = np.convolve(stuffed, _LOW_PASS, "valid")
        return np.clip(np.rint(wide), -32768, 32767).astype(np.int16)


def _bytes_of(text: str, at: str) -> bytes:
    if len(text) > MAX_APPEND_BYTES:
        raise Refusal("invalid_value", "One append takes at most 15 MiB.", param=at)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        why = f"Invalid {at!r}: not valid base64 ({error})."
        raise Refusal("invalid_value", why, param=at) from None


def encoded(pcm: bytes, audio_format: AudioFormat) -> bytes:
    """Return 24 kHz PCM as the wire wants it."""
    if isinstance(audio_format, Pcm) or not pcm:
        return pcm
    resampler = rtc.AudioResampler(SAMPLE_RATE, _TELEPHONE_RATE)
    frames = resampler.push(bytearray(pcm)) + resampler.flush()
    _, encode = _codec(audio_format)
    return encode(np.concatenate([np.frombuffer(frame.data, np.int16) for frame in frames]))


def _codec(
    audio_format: AudioFormat,
) -> tuple[Callable[[bytes], Samples], Callable[[Samples], bytes]]:
    # Its package loads more than a session of PCM needs.
    from local.caller import g711  # noqa: PLC0415

    if isinstance(audio_format, Pcmu):
        return g711.mulaw_decode, g711.mulaw_encode
    return g711.alaw_decode, g711.alaw_encode
