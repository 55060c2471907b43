"""The recording of a call: stereo WAV, 8 kHz, 16 bit; the caller left, the agent right.

Both sides lie on one clock, from the answer on. A packet of the agent stands where its RTP
timestamp puts it after the first one's arrival, as a phone would play it; gaps are silence.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np

from local.caller.g711 import Samples
from local.caller.packets import CallLog, decode
from local.caller.rtp import CLOCK_RATE, FRAME_SAMPLES, RtpPacket

__all__ = ["render", "write_recording"]

_STRAYS: Final = CLOCK_RATE // 5
"""A timestamp 200 ms away from the arrival begins anew: the far end restarted its stream."""


def render(log: CallLog) -> Samples:
    """Return the samples, shape (n, 2); empty when the call was not answered."""
    if log.answered_at is None:
        return np.zeros((0, 2), np.int16)
    length = max(0, round((log.ended_at - log.answered_at) * CLOCK_RATE)) + FRAME_SAMPLES
    stereo = np.zeros((length, 2), np.int16)
    for channel, placed in enumerate((_own(log), _agents(log))):
        for position, packet in placed:
            samples = decode(packet)
            if samples is None:
                continue
            start, stop = max(0, position), min(length, position + len(samples))
            if start < stop:
                stereo[start:stop, channel] = samples[start - position : stop - position]
    return stereo


def write_recording(log: CallLog, path: Path) -> None:
    """Write the call to `path`; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(CLOCK_RATE)
        file.writeframes(render(log).tobytes())


def _own(log: CallLog) -> Iterable[tuple[int, RtpPacket]]:
    assert log.answered_at is not None
    for sent in log.sent:
        yield round((sent.due - log.answered_at) * CLOCK_RATE), sent.packet


def _agents(log: CallLog) -> Iterable[tuple[int, RtpPacket]]:
    """Yield the agent's payloads with their positions; each SSRC has its own anchor."""
    assert log.answered_at is not None
    anchors: dict[int, tuple[int, int]] = {}
    for received in sorted(log.received, key=lambda packet: packet.at):
        packet = received.packet
        arrival = round((received.at - log.answered_at) * CLOCK_RATE)
        anchor_timestamp, anchor = anchors.setdefault(packet.ssrc, (packet.timestamp, arrival))
        # RTP timestamps wrap around at 2**32; the nearest reading is the right one.
        step = (packet.timestamp - anchor_timestamp + 2**31) % 2**32 - 2**31
        if abs(anchor + step - arrival) > _STRAYS:
            anchors[packet.ssrc], step = (packet.timestamp, arrival), 0
            anchor = arrival
        yield anchor + step, packet
