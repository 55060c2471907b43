"""The two streams of one call: the caller's voice into the room, the room's voices to the caller.

Every buffer on the way is delay between two people, so there are none that only wait: the caller's
audio goes straight into the encoder of the published track (an `AudioSource` with a queue of 0 ms),
and what the room says is handed over in frames of 10 ms, with only as much in stock as the jitter
of this machine asks for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import Final, Protocol

import numpy as np
from baresip import AudioInfo, AudioNotActive, AudioRestarted
from livekit import rtc

from sip.gateway.narrowband import ROOM_RATE, Narrowing

__all__ = [
    "FRAME_BYTES",
    "SAMPLE_RATE",
    "CallAudio",
    "CallerVoice",
    "Fill",
    "Pace",
    "RoomVoices",
    "concealed",
    "is_quiet",
]

logger = logging.getLogger(__name__)

SAMPLE_RATE: Final = 8000
"""PCMU and PCMA, the codecs that the gateway offers (RFC 3551 section 4.5.14)."""

FRAME_BYTES: Final = 160
"""10 ms of 16-bit samples: all that direct capture takes at a time."""

_FRAME_SECONDS: Final = 0.01
_SILENCE: Final = bytes(FRAME_BYTES)
_QUIET: Final = 200


class CallAudio(Protocol):
    """The PCM side of one SIP call, as `baresip.CallAudio` offers it."""

    def info(self) -> AudioInfo: ...

    def read(self, max_bytes: int) -> bytes: ...

    def write(self, pcm: bytes) -> int: ...


class Pace:
    """Keeps what is sent to the room in step with the clock.

    The track's own timestamps count samples. Were packets that the network lost left out, each
    would make all that follows look 20 ms later; the receiver's jitter buffer would take that for
    jitter, and hold speech back by more than half a second. So what is missing is filled, at once
    in a hole (a phone that suppresses silence), else when the next packet comes. What then comes
    after all is let through, but never more than `_AHEAD`: the receiver plays it faster.

    Attributes:
        dropped: Frames that were too far ahead.
    """

    _HOLE: Final = 0.06
    _LATE: Final = 0.045
    _LEFT: Final = 0.03
    _AHEAD: Final = 0.1
    _PACKET: Final = 0.02
    _MOST: Final = 10

    def __init__(self, now: float) -> None:
        self._sent_until = now
        self._hole = 0
        self.dropped = 0

    def arrived(self, now: float, seconds: float) -> int:
        """Count, and return, the frames that are missing before sound that has just come.

        Up to 45 ms is jitter; what comes later than that is the packet after a lost one.

        Args:
            seconds: Its length. More than a packet waited for us, not for the network.
        """
        due = now - max(0.0, seconds - self._PACKET)
        frames = 0
        if self._hole >= self._MOST:
            # Sound after a pause: to make up for what is still missing would only delay it.
            self._sent_until = max(self._sent_until, due)
        elif due - self._sent_until >= self._LATE:
            frames = self._fill(due - self._LEFT)
        self._hole = 0
        return frames

    def skip(self) -> None:
        """Note that sound is left out before what comes next: nothing is to be made up for."""
        self._hole = self._MOST

    def takes(self, now: float, frame: bytes) -> bool:
        """Count one frame of the caller; tell whether it is to be sent."""
        ahead = self._sent_until - now
        # Of a phone whose clock is fast the frames to leave out are those that nobody misses.
        if ahead > self._AHEAD or (ahead > self._AHEAD - self._LEFT and is_quiet(frame)):
            self.dropped += 1
            return False
        self._sent_until += _FRAME_SECONDS
        return True

    def missing(self, now: float) -> int:
        """Count, and return, the frames of silence that are due while nothing comes."""
        if now - self._sent_until < self._HOLE:
            return 0
        frames = self._fill(now - self._HOLE + _FRAME_SECONDS)
        self._hole += frames
        return frames

    def _fill(self, until: float) -> int:
        """Return what is missing until then, 100 ms at most; time before that is forgotten."""
        frames = min(round((until - self._sent_until) / _FRAME_SECONDS), self._MOST)
        self._sent_until = max(self._sent_until + frames * _FRAME_SECONDS, until - _FRAME_SECONDS)
        return frames


class CallerVoice:
    """Reads the caller's audio and captures it into the published track.

    Silence flows from the first moment on, while the phone still rings: livekit-server hands a
    track to its subscribers only when it carries packets, and the first word must find them.
    """

    _NEXT: Final = 0.018
    _NEAR: Final = 0.001
    _QUIET: Final = 0.005
    _BACKLOG: Final = 12 * FRAME_BYTES

    def __init__(self, source: rtc.AudioSource, audio: CallAudio) -> None:
        self._source = source
        self._audio = audio
        self._pace = Pace(time.monotonic())
        self._rest = b""
        self._last: tuple[bytes, ...] = ()

    async def run(self) -> None:
        """Carry audio until cancelled."""
        idle = 0
        while True:
            pcm = self._read()
            if pcm:
                idle = 0
                await self._capture(self._rest + pcm)
                # The next packet is almost one packet time away: sleep most of it, then look often.
                await asyncio.sleep(self._NEXT)
                continue
            for _ in range(self._pace.missing(time.monotonic())):
                await self._send(_SILENCE)
            idle += 1
            await asyncio.sleep(self._NEAR if idle < 40 else self._QUIET)

    def _read(self) -> bytes:
        """Return what has come, but no more than the latest `_BACKLOG`."""
        pcm = b""
        try:
            while more := self._audio.read(self._BACKLOG):
                if pcm:
                    # A burst after a stall, or a machine that is too busy: what is old would delay
                    # all that follows.
                    self._pace.skip()
                pcm = (pcm + more)[-self._BACKLOG :]
                if len(more) < self._BACKLOG:
                    break
        except (AudioNotActive, AudioRestarted):
            return pcm
        return pcm

    async def _capture(self, pcm: bytes) -> None:
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        self._rest = pcm[whole:]
        frames = [pcm[start : start + FRAME_BYTES] for start in range(0, whole, FRAME_BYTES)]
        missing = self._pace.arrived(time.monotonic(), len(frames) * _FRAME_SECONDS)
        for frame in concealed(self._last, missing) if missing else ():
            await self._send(frame)
        for frame in frames:
            if self._pace.takes(time.monotonic(), frame):
                await self._send(frame)
        self._last = (*self._last, *frames)[-2:]

    async def _send(self, frame: bytes) -> None:
        await self._source.capture_frame(rtc.AudioFrame(frame, SAMPLE_RATE, 1, FRAME_BYTES // 2))


class Fill:
    """Decides how often each frame goes into the transmit buffer of a call: 0, 1 or 2 times.

    The sender takes one packet time from the buffer on its own clock and pads what is missing,
    which in the middle of a word is a hole that can be heard. So a small stock is kept, larger for
    a while after it ran out. It is built up and taken down only where nobody speaks: a quiet frame
    is doubled or left out.

    Attributes:
        added: Frames that were doubled.
        dropped: Frames that were left out.
    """

    _WINDOW: Final = 20
    _LEAST: Final = FRAME_BYTES
    _MOST: Final = 5 * FRAME_BYTES
    _FULL: Final = 12 * FRAME_BYTES
    _CALM_WINDOWS: Final = 50

    def __init__(self) -> None:
        self._target = self._LEAST
        self._lowest = self._FULL
        self._seen = 0
        self._calm = 0
        self.added = 0
        self.dropped = 0

    def copies(self, stock: int, *, quiet: bool) -> int:
        """Return how often the next frame is to be written.

        Args:
            stock: The bytes that wait to be sent right now.
            quiet: Nobody would miss the frame.
        """
        self._lowest = min(self._lowest, stock)
        self._seen += 1
        if stock == 0 and not quiet:
            self._target = min(self._target + FRAME_BYTES, self._MOST)
            self._calm = 0
        if stock >= self._FULL:
            self.dropped += 1
            return 0
        return self._adjusted() if quiet and self._seen >= self._WINDOW else 1

    def _adjusted(self) -> int:
        lowest, self._lowest, self._seen = self._lowest, self._FULL, 0
        self._calm += 1
        if self._calm >= self._CALM_WINDOWS:
            self._target, self._calm = max(self._target - FRAME_BYTES, self._LEAST), 0
        if lowest < self._target:
            self.added += 1
            return 2
        if lowest > self._target:
            self.dropped += 1
            return 0
        return 1


class RoomVoices:
    """Mixes every audio track of the room and writes the sum to the caller.

    The first track sets the pace; what the others said meanwhile is added to its frames.
    """

    _WAITING: Final = 5

    def __init__(self, audio: CallAudio) -> None:
        self._audio = audio
        self._fill = Fill()
        self._waiting: dict[str, deque[bytes]] = {}

    async def carry(self, track: rtc.Track) -> None:
        """Carry one track until it ends or this is cancelled."""
        # The frames of 10 ms are those in which the SDK decodes; longer ones only wait.
        stream = rtc.AudioStream(
            track, sample_rate=ROOM_RATE, num_channels=1, frame_size_ms=10, capacity=20
        )
        narrowing = Narrowing()
        self._waiting[track.sid] = deque(maxlen=self._WAITING)
        try:
            async for event in stream:
                frame = np.frombuffer(event.frame.data, np.int16)
                self._take(track.sid, narrowing.narrow(frame))
        finally:
            self._waiting.pop(track.sid, None)
            await stream.aclose()

    def _take(self, sid: str, frame: bytes) -> None:
        if sid != next(iter(self._waiting)):
            self._waiting[sid].append(frame)
            return
        others = [queue.popleft() for queue in self._waiting.values() if queue]
        self._write(mixed([frame, *others]) if others else frame)

    def _write(self, frame: bytes) -> None:
        try:
            stock = self._audio.info().tx_buffered
            for _ in range(self._fill.copies(stock, quiet=is_quiet(frame))):
                self._audio.write(frame)
        except (AudioNotActive, AudioRestarted):
            # Before the answer and while a re-INVITE is under way nobody can hear this.
            return


def is_quiet(frame: bytes) -> bool:
    """Tell whether a 16-bit frame is a pause: no sample above -44 dB of full scale."""
    samples = np.frombuffer(frame, dtype=np.int16)
    return not samples.size or int(np.abs(samples.astype(np.int32)).max()) < _QUIET


def concealed(last: tuple[bytes, ...], frames: int) -> list[bytes]:
    """Return what stands in for lost frames: the last ones again at half their level, then silence.

    A gap of 20 ms in the middle of a vowel is heard least when the vowel goes on (as in
    ITU-T G.711 appendix I).
    """
    again = [(np.frombuffer(frame, np.int16) // 2).tobytes() for frame in last]
    return [*again, *[_SILENCE] * frames][:frames]


def mixed(frames: list[bytes]) -> bytes:
    """Return the sum of 16-bit frames, clipped; the longest sets the length."""
    total = np.zeros(max(len(frame) for frame in frames) // 2, dtype=np.int32)
    for frame in frames:
        samples = np.frombuffer(frame, dtype=np.int16)
        total[: len(samples)] += samples
    return np.clip(total, -32768, 32767).astype(np.int16).tobytes()
