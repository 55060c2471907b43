"""What was said in a call as subtitles (W3C WebVTT, 2019-04-04): one cue per turn."""

from __future__ import annotations

from collections.abc import Iterator

from thirdring.printable import printable
from thirdring.record import Record
from thirdring.records.moments import Lane, moments

__all__ = ["webvtt"]

_SHORTEST_MS = 1
_VOICES = {Lane.CALLER: "Caller", Lane.AGENT: "Agent"}
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def webvtt(record: Record) -> str:
    """Return a WebVTT file; its times begin when the call was opened."""
    return "\n".join(["WEBVTT", "", *_cues(record)])


def _cues(record: Record) -> Iterator[str]:
    for moment in moments(record):
        text = " ".join(printable(moment.text).split())
        if moment.lane not in _VOICES or not text:
            continue
        start = round(moment.start * 1000)
        # A cue must end after it has begun (section 4.1, "WebVTT cue timings").
        end = max(round(moment.end * 1000), start + _SHORTEST_MS)
        yield f"{_time(start)} --> {_time(end)}"
        yield f"<v {_VOICES[moment.lane]}>{text.translate(_ESCAPES)}"
        yield ""


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"
