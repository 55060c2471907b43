"""The audio of a call: RTP out every 20 ms on absolute deadlines, RTP in with exact arrival times.

One thread per call does nothing else, so that neither speech synthesis nor a busy event loop moves
a packet. All times are those of `time.monotonic`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Final, Self

from local.caller.dialog import Address
from local.caller.g711 import ALAW_SILENCE, MULAW_SILENCE, Samples, alaw_encode, mulaw_encode
from local.caller.keys import is_key
from local.caller.packets import ReceivedPacket, SentPacket, decode, level_of_samples
from local.caller.priority import real_time
from local.caller.rtp import FRAME_SAMPLES, FRAME_SECONDS, RtpPacket, digit_payloads, parse_rtp
from local.caller.sdp import AudioAnswer, Codec

__all__ = ["MediaStream", "Transmission"]

_SO_TIMESTAMPNS: Final = 35  # not in the socket module; asm-generic/socket.h
_TIMESPEC = struct.Struct("@qq")
_KEY_GAP_FRAMES: Final = 4  # 80 ms of quiet between two keys


@dataclass(frozen=True)
class _Frame:
    """20 ms of what is sent: audio, or one packet of a pressed key."""

    payload: bytes
    level: float | None
    key: bool = False
    key_begins: bool = False


@dataclass
class Transmission:
    """Something on its way to the far end, packet by packet.

    Attributes:
        started: When its first packet was sent.
        ended: When its last packet was sent; cancelled when it was cut off or the call ended.
    """

    frames: deque[_Frame]
    started: Future[float] = field(default_factory=Future)
    ended: Future[float] = field(default_factory=Future)

    async def sent(self) -> tuple[float, float]:
        """Wait for the last packet and return the times of the first and the last one."""
        ended = await asyncio.wrap_future(self.ended)
        return self.started.result(), ended

    def cancel(self) -> None:
        """Send no more of it."""
        self.frames.clear()
        self.started.cancel()
        self.ended.cancel()


class MediaStream:
    """One RTP stream each way on one UDP socket; an async context manager.

    Args:
        host: The local address to bind; the port is a free one.
        on_packet: Called in the media thread for every audio packet that arrives.
        on_key: Likewise for every packet of a pressed key.
    """

    def __init__(
        self,
        host: str,
        on_packet: Callable[[ReceivedPacket], None],
        on_key: Callable[[RtpPacket], None] = lambda _packet: None,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)  # noqa: FBT003 - the socket API's only form
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._on_packet = on_packet
        self._on_key = on_key
        self._remote: AudioAnswer | None = None
        self._transmitting = True
        self._waiting: deque[Transmission] = deque()
        self._current: Transmission | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run_in_time, name="caller-rtp", daemon=True)
        self._ssrc = secrets.randbits(32)
        # RFC 3550 section 5.1 wants random starts; the lower half is aiortc's choice against SRTP.
        self._sequence = secrets.randbits(15)
        self._timestamp = secrets.randbits(32)
        self._key_timestamp = 0
        self._marker = True
        self.sent: list[SentPacket] = []
        self.received: list[ReceivedPacket] = []

    @property
    def address(self) -> Address:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)
        self._socket.close()
        for transmission in (self._current, *self._waiting):
            if transmission is not None:
                transmission.cancel()

    def start(self, remote: AudioAnswer, *, transmit: bool = True) -> None:
        """Begin to listen, and to send (at first silence) unless `transmit` is False."""
        self._transmitting = transmit
        self._remote = remote
        # A thread that computes gives way to the packets after 0.5 ms instead of 5.
        sys.setswitchinterval(min(sys.getswitchinterval(), 0.0005))
        self._thread.start()

    def redirect(self, remote: AudioAnswer) -> None:
        """Send to another address from the next packet on."""
        self._remote = remote

    def transmit(self, *, on: bool) -> None:
        """Stop sending packets altogether, silence included, or go on."""
        self._transmitting = on

    def play(self, samples: Samples) -> Transmission:
        """Queue linear 8 kHz audio, cut into packets; the last one is filled with silence."""
        assert self._remote is not None, "play needs an answered call"
        encode = mulaw_encode if self._remote.codec is Codec.PCMU else alaw_encode
        frames: deque[_Frame] = deque()
        for start in range(0, len(samples), FRAME_SAMPLES):
            part = samples[start : start + FRAME_SAMPLES]
            payload = encode(part).ljust(FRAME_SAMPLES, self._silence[:1])
            frames.append(_Frame(payload, level_of_samples(part)))
        return self._queue(frames)

    def press(self, digits: str) -> Transmission:
        """Queue telephone events of 100 ms, 80 ms apart (RFC 4733)."""
        frames: deque[_Frame] = deque()
        for digit in digits:
            for number, payload in enumerate(digit_payloads(digit)):
                frames.append(_Frame(payload, None, key=True, key_begins=number == 0))
            frames.extend([_Frame(self._silence, None)] * _KEY_GAP_FRAMES)
        return self._queue(frames)

    def cut_off(self) -> None:
        """Fall silent at once: drop all that is queued."""
        for transmission in (self._current, *self._waiting):
            if transmission is not None:
                transmission.cancel()

    @property
    def _silence(self) -> bytes:
        assert self._remote is not None
        code = MULAW_SILENCE if self._remote.codec is Codec.PCMU else ALAW_SILENCE
        return bytes([code]) * FRAME_SAMPLES

    def _queue(self, frames: deque[_Frame]) -> Transmission:
        transmission = Transmission(frames)
        self._waiting.append(transmission)
        return transmission

    def _run_in_time(self) -> None:
        with real_time():
            self._run()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            wait = due - time.monotonic()
            if wait > 0:
                readable, _, _ = select.select([self._socket], [], [], wait)
                if readable:
                    self._receive()
                continue
            self._send_frame(due)
            due += FRAME_SECONDS

    def _next_frame(self) -> _Frame | None:
        """Return the frame that is due now; None is silence."""
        while self._current is None or not self._current.frames:
            if not self._waiting:
                return None
            self._current = self._waiting.popleft()
        # cut_off may clear the frames in another thread between the test and here.
        with contextlib.suppress(IndexError):
            return self._current.frames.popleft()
        return None

    def _send_frame(self, due: float) -> None:
        transmission_frame = self._next_frame()
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        if not self._transmitting:
            self._marker = True
            return
        remote = self._remote
        assert remote is not None
        frame = transmission_frame or _Frame(self._silence, None)
        packet = self._packet(frame, remote)
        at = time.monotonic()
        # A far end that has closed its port already is no reason to stop.
        with contextlib.suppress(OSError):
            self._socket.sendto(packet.to_bytes(), (remote.address, remote.port))
        self.sent.append(SentPacket(at, due, packet, frame.level, key=frame.key))
        if transmission_frame is not None:
            self._tell(at)

    def _packet(self, frame: _Frame, remote: AudioAnswer) -> RtpPacket:
        payload_type, payload, timestamp = remote.codec.value, frame.payload, self._timestamp
        marker, self._marker = self._marker, False
        if frame.key and remote.event_payload_type is not None:
            payload_type = remote.event_payload_type
            marker = frame.key_begins
            if frame.key_begins:
                self._key_timestamp = timestamp
            timestamp = self._key_timestamp
        elif frame.key:
            payload = self._silence
        self._sequence = (self._sequence + 1) & 0xFFFF
        return RtpPacket(payload_type, self._sequence, timestamp, self._ssrc, payload, marker)

    def _tell(self, at: float) -> None:
        """Resolve what is waited for; a transmission that was cut off waits for nothing."""
        current = self._current
        assert current is not None
        with contextlib.suppress(InvalidStateError):
            if not current.started.done():
                current.started.set_result(at)
            if not current.frames:
                current.ended.set_result(at)

    def _receive(self) -> None:
        with contextlib.suppress(OSError):  # ICMP errors of packets that nobody wanted
            while True:
                data, ancillary, _, _ = self._socket.recvmsg(2048, 64)
                at = _arrival(ancillary)
                packet = parse_rtp(data)
                if packet is not None and is_key(packet):
                    self._on_key(packet)
                    continue
                samples = None if packet is None else decode(packet)
                if packet is None or samples is None:
                    continue
                received = ReceivedPacket(at, packet, level_of_samples(samples))
                self.received.append(received)
                self._on_packet(received)


def _arrival(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """Return when the kernel had the packet, or now where it does not tell.

    The kernel's stamp is wall-clock time; its age is the same on both clocks.
    """
    now = time.monotonic()
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            age = time.time() - (seconds + nanoseconds * 1e-9)
            # A wall clock that was just set would make nonsense of it.
            return now - age if 0 <= age < 1 else now
    return now
