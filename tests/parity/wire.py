"""RTP packet by packet: a plan of what is sent when, from which port, and a log of what came.

A plan is a plain list, so a fault of the network is a list comprehension over it.
"""

from __future__ import annotations

import math
import random
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from local.caller.g711 import Samples, alaw_decode, alaw_encode, mulaw_decode, mulaw_encode
from local.caller.rtp import CLOCK_RATE, RtpPacket, parse_rtp
from local.caller.voice import tone

__all__ = [
    "EVERY",
    "Heard",
    "Timed",
    "Wire",
    "beats",
    "delays",
    "linear",
    "lost",
    "packets",
    "pitch_of",
    "wire",
]

EVERY = 0.5
_PITCHES = (700.0, 1100.0, 1500.0, 1900.0)
_LAWS = {0: mulaw_encode, 8: alaw_encode}
_UNLAWS = {0: mulaw_decode, 8: alaw_decode}


@dataclass(frozen=True)
class Timed:
    """One packet of a plan.

    Attributes:
        at: Seconds after the plan's start.
        port: Which of the wire's sockets sends it.
        data: Sent in the packet's place when there is any.
    """

    at: float
    packet: RtpPacket
    port: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class Heard:
    """One packet that came, on the monotonic clock."""

    at: float
    packet: RtpPacket


def packets(
    sound: Samples,
    *,
    kind: int = 0,
    ptime: float = 20,
    sequence: int = 4000,
    timestamp: int = 90000,
    ssrc: int = 0x1234,
    at: float = 0.0,
) -> list[Timed]:
    """Return sound as packets of `ptime` ms, each sent when it is due."""
    size = round(CLOCK_RATE * ptime / 1000)
    return [
        Timed(
            at + start / CLOCK_RATE,
            RtpPacket(
                kind,
                (sequence + number) & 0xFFFF,
                (timestamp + start) & 0xFFFFFFFF,
                ssrc,
                _LAWS[kind](sound[start : start + size]),
                marker=number == 0,
            ),
        )
        for number, start in enumerate(range(0, len(sound) - size + 1, size))
    ]


def lost(plan: Sequence[Timed], share: float, seed: int = 7) -> list[Timed]:
    """Return a plan of which `share` is lost, always the same packets."""
    chance = random.Random(seed)
    return [one for one in plan if chance.random() >= share]


def beats(seconds: float) -> Samples:
    """Return a short tone every half second in silence, each unlike the three before it."""
    sound = np.zeros(round(seconds * CLOCK_RATE), np.int16)
    for number in range(1, round(seconds / EVERY)):
        start = round(number * EVERY * CLOCK_RATE)
        sound[start : start + 400] = tone(_PITCHES[number % len(_PITCHES)], 50)
    return sound


def linear(packet: RtpPacket) -> Samples:
    """Return the sound of a packet by the law that its payload type names."""
    return _UNLAWS[packet.payload_type](packet.payload)


def delays(frames: Sequence[tuple[float, Samples]], begun: float, seconds: float) -> list[float]:
    """Return how much later than it was sent each beat was heard; infinite for a lost one.

    Args:
        frames: What was heard, with times.
        begun: When the sound of `beats(seconds)` began.
    """
    heard = _beats_in(frames)
    found: list[float] = []
    for number in range(1, round(seconds / EVERY)):
        sent, pitch = begun + number * EVERY, _PITCHES[number % len(_PITCHES)]
        after = (at - sent for at, of in heard if abs(of - pitch) < 90 and -0.05 < at - sent < 1.9)
        found.append(next(after, math.inf))
    return found


def _beats_in(frames: Sequence[tuple[float, Samples]]) -> list[tuple[float, float]]:
    """Return time and pitch of each stretch of loud frames; 60 ms of quiet end one."""
    stretches: list[tuple[float, list[Samples]]] = []
    last = -1.0
    for at, samples in frames:
        if not len(samples) or int(np.abs(samples.astype(np.int32)).max()) < 2000:
            continue
        if at - last > 0.06:
            stretches.append((at, []))
        stretches[-1][1].append(samples)
        last = at
    return [(at, pitch_of(np.concatenate(sound))) for at, sound in stretches]


def pitch_of(sound: Samples) -> float:
    """Return the frequency of a sine in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 16))
    return float(spectrum.argmax() * CLOCK_RATE / (1 << 16))


class Wire:
    """Two UDP sockets and the thread that keeps their times.

    Attributes:
        heard: What came to either socket.
        port: Of the first socket.
    """

    def __init__(self) -> None:
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for one in self._sockets:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
        self.port: int = self._sockets[0].getsockname()[1]
        self.other_port: int = self._sockets[1].getsockname()[1]
        self.heard: list[Heard] = []
        self._plan: list[tuple[float, Timed]] = []
        self._to = ("", 0)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, plan: Sequence[Timed], to: tuple[str, int]) -> float:
        """Begin with a plan, in place of one that is under way; return when it began."""
        begun = time.monotonic()
        with self._lock:
            self._to = to
            self._plan = [(begun + one.at, one) for one in reversed(plan)]
        return begun

    def close(self) -> None:
        """Stop at once."""
        self._stopped.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            with self._lock:
                due = self._plan[-1][0] if self._plan else time.monotonic() + 0.005
            wait = min(max(0.0, due - time.monotonic()), 0.005)
            for one in select.select(self._sockets, [], [], wait)[0]:
                data = one.recv(2048)
                packet = parse_rtp(data)
                if packet is not None:
                    self.heard.append(Heard(time.monotonic(), packet))
            self._send_due()

    def _send_due(self) -> None:
        with self._lock:
            while self._plan and self._plan[-1][0] <= time.monotonic():
                _, one = self._plan.pop()
                self._sockets[one.port].sendto(one.data or one.packet.to_bytes(), self._to)


@contextmanager
def wire() -> Iterator[Wire]:
    """Open a wire and close it at the end."""
    opened = Wire()
    try:
        yield opened
    finally:
        opened.close()
