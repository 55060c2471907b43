"""What callers hear when no model speaks: a few sentences as WAV files beside this module.

They are 24 kHz mono, 16 bit, the format in which a session speaks, and rendered once by
`python -m local.fixed_lines` with flite's `slt` voice (its licence lies beside them).
"""

from __future__ import annotations

import asyncio
import functools
import io
import logging
import wave
from collections.abc import AsyncIterator
from enum import StrEnum
from importlib import resources
from typing import Final

from livekit import rtc

__all__ = ["SAMPLE_RATE", "FixedLine", "duration", "frames", "play_into_room"]

SAMPLE_RATE: Final = 24_000

TRACK_NAME: Final = "fixed-line"

_SUBSCRIBER_TIMEOUT: Final = 3.0
# The last loud packet leaves the SIP side 54 to 92 ms after the source says that it has played;
# a tail of 300 ms cut nothing.
_TAIL: Final = 0.3

_log = logging.getLogger(__name__)


class FixedLine(StrEnum):
    """A sentence; the value names its WAV file."""

    NOT_IN_SERVICE = "not_in_service"
    CONNECTING = "connecting"
    ONE_MOMENT = "one_moment"
    TECHNICAL_DIFFICULTY = "technical_difficulty"
    ARE_YOU_THERE = "are_you_there"
    TIME_LIMIT = "time_limit"

    @property
    def text(self) -> str:
        """What is said, word for word."""
        return _TEXTS[self]


_TEXTS: Final = {
    FixedLine.NOT_IN_SERVICE: "This number is not in service. Goodbye.",
    FixedLine.CONNECTING: "One moment, I am connecting you.",
    FixedLine.ONE_MOMENT: "One moment, please.",
    FixedLine.TECHNICAL_DIFFICULTY: (
        "We are sorry, we are having technical difficulties. Please call again later. Goodbye."
    ),
    FixedLine.ARE_YOU_THERE: "Are you still there?",
    FixedLine.TIME_LIMIT: "We have reached the time limit for this call. Goodbye.",
}


def duration(line: FixedLine) -> float:
    """Return how long the line takes, in seconds."""
    return len(_samples(line)) / 2 / SAMPLE_RATE


async def frames(line: FixedLine, *, frame_ms: int = 20) -> AsyncIterator[rtc.AudioFrame]:
    """Yield the line in frames of `frame_ms`, the last one filled up with silence.

    For `AgentSession.say(line.text, audio=frames(line))`, which plays at its own pace.
    """
    samples = _samples(line)
    count = SAMPLE_RATE * frame_ms // 1000
    for start in range(0, len(samples), count * 2):
        data = samples[start : start + count * 2].ljust(count * 2, b"\0")
        yield rtc.AudioFrame(data, SAMPLE_RATE, 1, count)


async def play_into_room(room: rtc.Room, line: FixedLine) -> None:
    """Publish a track, say the line once somebody listens, and return when it was heard.

    For calls without a session. When nobody subscribes within 3 s nothing is said.
    """
    source = rtc.AudioSource(SAMPLE_RATE, 1)
    try:
        track = rtc.LocalAudioTrack.create_audio_track(TRACK_NAME, source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
        publication = await room.local_participant.publish_track(track, options)
        try:
            async with asyncio.timeout(_SUBSCRIBER_TIMEOUT):
                await publication.wait_for_subscription()
        except TimeoutError:
            _log.warning("nobody listens to the fixed line", extra={"line": line.value})
        else:
            async for frame in frames(line):
                await source.capture_frame(frame)
            await source.wait_for_playout()
            await asyncio.sleep(_TAIL)
        finally:
            if room.isconnected():
                await room.local_participant.unpublish_track(publication.sid)
    finally:
        await source.aclose()


@functools.cache
def _samples(line: FixedLine) -> bytes:
    file = resources.files(__name__).joinpath(f"{line.value}.wav")
    with wave.open(io.BytesIO(file.read_bytes()), "rb") as reader:
        form = (reader.getframerate(), reader.getnchannels(), reader.getsampwidth())
        assert form == (SAMPLE_RATE, 1, 2), f"{line.value}.wav is not 24 kHz mono, 16 bit"
        return reader.readframes(reader.getnframes())
