"""What crossed the wire in a call, and how loud it was.

Levels are RMS over one packet in dB below full scale (dBFS). Loud is -42 dBFS and more: speech and
tones on a telephone are at -30 to -10, comfort noise is at -50 and less (RFC 3389), the resting
noise of G.711 at -72.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from local.caller.g711 import Samples, alaw_decode, mulaw_decode
from local.caller.rtp import RtpPacket
from local.caller.sdp import Codec

__all__ = [
    "LOUD",
    "QUIET",
    "CallLog",
    "ReceivedPacket",
    "SentPacket",
    "Utterance",
    "UtteranceKind",
    "decode",
    "is_loud",
    "level_of_samples",
]

LOUD: Final = -42.0
QUIET: Final = -100.0
"""The level of digital silence."""


@dataclass(frozen=True, slots=True)
class SentPacket:
    """One packet of ours.

    Attributes:
        at: When it was sent; monotonic seconds, as everywhere here.
        due: When it should have been.
        level: None for silence and keys.
        key: It tells of a pressed key.
    """

    at: float
    due: float
    packet: RtpPacket
    level: float | None = None
    key: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedPacket:
    """One audio packet of the agent."""

    at: float
    packet: RtpPacket
    level: float


class UtteranceKind(StrEnum):
    """What a caller does that can be heard."""

    SAY = "say"
    PLAY = "play"
    PRESS = "press"
    BURST = "burst"


@dataclass(frozen=True)
class Utterance:
    """One thing that the caller said, played or pressed; times are of its first and last packet."""

    kind: UtteranceKind
    text: str
    started_at: float
    ended_at: float


@dataclass(frozen=True)
class CallLog:
    """Everything that is measured: times of signalling, packets, utterances.

    Attributes:
        ended_at: BYE sent or received, or the final refusal.
    """

    invited_at: float
    ringing_at: float | None
    answered_at: float | None
    ended_at: float
    sent: tuple[SentPacket, ...] = ()
    received: tuple[ReceivedPacket, ...] = ()
    utterances: tuple[Utterance, ...] = ()


def is_loud(packet: SentPacket | ReceivedPacket) -> bool:
    """Tell speech and tones from silence and comfort noise."""
    return packet.level is not None and packet.level >= LOUD


def decode(packet: RtpPacket) -> Samples | None:
    """Return the sound of a packet; None when it is not G.711 (a key, comfort noise).

    Each packet says its own codec, for who offers two must be ready for both (RFC 3264
    section 5.1).
    """
    if packet.payload_type == Codec.PCMU.value:
        return mulaw_decode(packet.payload)
    return alaw_decode(packet.payload) if packet.payload_type == Codec.PCMA.value else None


def level_of_samples(samples: Samples) -> float:
    """Return the level of linear samples; nothing at all is as quiet as silence."""
    if not len(samples):
        return QUIET
    power = float(np.mean(np.square(samples.astype(np.float64))))
    return max(QUIET, 10 * math.log10(max(power, 1e-9) / 32768**2))
