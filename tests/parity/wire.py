"""RTP packet by packet: a plan of what is sent when, from which port, and a log of what came.

A plan is a plain list, so a fault of the network is a list comprehension over it.
"""

from __future__ import annotations

import random
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from local.caller.g711 import Samples, alaw_decode, alaw_encode, mulaw_decode, mulaw_encode
from local.caller.rtp import CLOCK_RATE, RtpPacket, digit_payloads, parse_rtp
from local.caller.voice import tone

__all__ = [
    "BEAT",
    "Beat",
    "Heard",
    "Timed",
    "Wire",
    "beats",
    "beats_in",
    "key",
    "linear",
    "lost",
    "packets",
    "wire",
]

BEAT = 1400.0
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


def key(digit: str, like: RtpPacket, kind: int, at: float, *, held: int = 5) -> list[Timed]:
    """Return a pressed key of `held` packets and three ends, in the stream of `like`."""
    return [
        Timed(
            at + 0.02 * number,
            replace(
                like,
                payload_type=kind,
                sequence=(like.sequence + 1 + number) & 0xFFFF,
                payload=payload,
                marker=number == 0,
            ),
        )
        for number, payload in enumerate(digit_payloads(digit, packets=held))
    ]


def lost(plan: Sequence[Timed], share: float, seed: int = 7) -> list[Timed]:
    """Return a plan of which `share` is lost, always the same packets."""
    chance = random.Random(seed)
    return [one for one in plan if chance.random() >= share]


def beats(seconds: float, every: float = 0.4, length: int = 40) -> Samples:
    """Return short tones in silence; the first comes after `every`."""
    sound = np.zeros(round(seconds * CLOCK_RATE), np.int16)
    beat = tone(BEAT, length)
    for number in range(1, round(seconds / every)):
        start = round(number * every * CLOCK_RATE)
        sound[start : start + len(beat)] = beat[: len(sound) - start]
    return sound


def linear(packet: RtpPacket) -> Samples:
    """Return the sound of a packet by the law that its payload type names."""
    return _UNLAWS[packet.payload_type](packet.payload)


@dataclass(frozen=True)
class Beat:
    """A short tone that was heard, and when its first 10 ms were."""

    at: float
    loudest: int


def beats_in(frames: Sequence[tuple[float, Samples]], least: int = 2000) -> list[Beat]:
    """Return the tones in frames with their times; 100 ms of quiet separates two."""
    found: list[Beat] = []
    last = -1.0
    for at, samples in frames:
        peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
        if peak < least:
            continue
        if at - last > 0.1:
            found.append(Beat(at, peak))
        last = at
    return found


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
