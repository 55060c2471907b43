"""A call told live, one event at a time: what a demo draws and `--events` prints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import assert_never

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from local.caller.sip_events import Answered, Ended, Event, MediaChanged, Ringing, Signal

__all__ = ["CallEvent", "Commentary"]


class CallEvent(BaseModel):
    """One thing that happened.

    Attributes:
        event: With its own fields in `data`: `sip` (direction, message, method, status), `ringing`
            (status), `answered` (codec), `media_changed` (direction), `audio_started`, `step`
            (number, step), `speaking` and `spoken` (kind, text), `ended` (by, status, reason).
        seconds: Since the call was placed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: str
    at: AwareDatetime
    seconds: float
    data: dict[str, JsonValue]

    def to_json(self) -> str:
        """Return one line; the event's own fields stand beside the common ones."""
        common = {"event": self.event, "at": self.at.isoformat(), "seconds": self.seconds}
        return json.dumps({**common, **self.data}, ensure_ascii=False)


class Commentary:
    """Tells a listener what happens; made when the call is placed."""

    def __init__(self, listener: Callable[[CallEvent], None] | None) -> None:
        self._listener = listener
        self._began = time.monotonic()
        self._wall = time.time()

    def tell(self, event: str, at: float | None = None, **data: JsonValue) -> None:
        """Tell one event; `at` is monotonic, now when None."""
        if self._listener is None:
            return
        seconds = (time.monotonic() if at is None else at) - self._began
        wall = datetime.fromtimestamp(self._wall + seconds, UTC)
        self._listener(CallEvent(event=event, at=wall, seconds=round(seconds, 4), data=data))

    def take(self, event: Event, at: float) -> None:
        """Tell what the call's state machine has said."""
        match event:
            case Signal(direction, method, status, reason):
                message = method if status is None else f"{status} {reason}"
                self.tell(
                    "sip", at, direction=direction, message=message, method=method, status=status
                )
            case Ringing(status):
                self.tell("ringing", at, status=status)
            case Answered(audio):
                self.tell("answered", at, codec=audio.codec.name)
            case MediaChanged(audio):
                self.tell("media_changed", at, direction=audio.direction)
            case Ended(by, status, reason):
                self.tell("ended", at, by=by, status=status, reason=reason)
            case _:
                assert_never(event)
