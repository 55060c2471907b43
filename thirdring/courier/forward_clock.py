"""Time by which deliveries are due: it only goes forward, whatever is done to the clock."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from thirdring.clock import Clock

__all__ = ["ForwardClock", "elapsed"]


def elapsed() -> float:
    """Return seconds since some moment; nobody can set them, and a suspended machine counts too."""
    # mypy knows no clock that its own platform lacks.
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class ForwardClock:
    """The clock of the machine, which goes on by itself where that is set back.

    Without this, what is due in five minutes would be due in an hour and five minutes once the
    clock was set back by an hour. Where the clock is set forward what waits comes early, once.
    """

    def __init__(self, clock: Clock, elapsed: Callable[[], float] = elapsed) -> None:
        self._clock = clock
        self._elapsed = elapsed
        self._from = clock.now()
        self._at = elapsed()

    def now(self) -> datetime:
        """Return the time, which is never before one that was returned earlier."""
        said, at = self._clock.now(), self._elapsed()
        self._from = max(said, self._from + timedelta(seconds=at - self._at))
        self._at = at
        return self._from
