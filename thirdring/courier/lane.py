"""How many records are on their way to one endpoint at one time, and how many wait for that."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from thirdring.store.outbox import Due, Endpoint

__all__ = ["AT_ONCE", "Lane"]

AT_ONCE: Final = 8
"""Attempts at one time at an endpoint that answers well."""

SLOW_SECONDS: Final = 5.0
"""An endpoint that lets us wait for so long gets no further attempt before it answers."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(frozen=True)
class _Held:
    due: Due
    start_until: float


class Lane:
    """What goes to one endpoint; all times are seconds of one clock that nobody sets.

    It begins with one attempt at a time, doubles that with every success, and falls back to one
    when an attempt fails or hangs. So an endpoint that hangs holds one connection, and no other
    endpoint ever waits for it.

    Attributes:
        closed: Nothing begins.
        workers: How many tasks are at it.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.closed = False
        self.workers = 0
        self._waiting: deque[_Held] = deque()
        self._under_way: dict[str, float] = {}
        self._at_once = 1
        self._failures = 0
        self._not_before = 0.0
        self._room = 0
        self._more = False

    @property
    def busy(self) -> bool:
        """Whether it holds anything."""
        return bool(self._waiting or self._under_way)

    def rests(self, now: float) -> bool:
        """Whether the endpoint is left alone for the moment."""
        return now < self._not_before

    def room(self, now: float, ahead: int) -> int:
        """Return how many more deliveries to take from the outbox, which is then to be done.

        Args:
            ahead: How many to hold when all goes well, to take them less often.
        """
        if self.closed or self.rests(now):
            return 0
        limit = self._limit(now)
        wanted = ahead if limit == AT_ONCE else limit
        self._room = max(0, wanted - len(self._waiting) - len(self._under_way))
        return self._room

    def take(self, dues: list[Due], start_until: float) -> None:
        """Hold what was found for the room of the last time.

        Args:
            start_until: The last moment to begin with them.
        """
        self._more = len(dues) >= self._room
        self._waiting.extend(_Held(due, start_until) for due in dues)

    def is_hungry(self) -> bool:
        """Whether there was more in the outbox than fitted in, and it fits in now."""
        return self._more and len(self._waiting) <= AT_ONCE and not self.closed

    def lacking(self, now: float) -> int:
        """Return how many more workers would have something to do."""
        if self.closed or self.rests(now):
            return 0
        work = len(self._waiting) + len(self._under_way)
        return max(0, min(work, self._limit(now)) - self.workers)

    def next(self, now: float) -> Due | None:
        """Return what to try now, if anything; it is under way then."""
        if self.closed or self.rests(now) or not self._waiting:
            return None
        if len(self._under_way) >= self._limit(now):
            return None
        due = self._waiting.popleft().due
        self._under_way[due.call_id] = now
        return due

    def succeed(self, due: Due) -> None:
        """Note an attempt that was answered well."""
        del self._under_way[due.call_id]
        self._failures = 0
        self._not_before = 0.0
        self._at_once = min(AT_ONCE, self._at_once * 2)

    def fail(self, due: Due, now: float) -> float:
        """Note an attempt that failed; return for how many seconds the endpoint rests."""
        del self._under_way[due.call_id]
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(self._failures, 10))
        self._at_once = 1
        self._failures += 1
        self._not_before = now + pause
        return pause

    def give_up(self, now: float) -> list[Due]:
        """Let go of what has waited for so long that others may have it soon, and return it."""
        late = []
        while self._waiting and self._waiting[0].start_until < now:
            late.append(self._waiting.popleft().due)
        return late

    def give_up_all(self) -> list[Due]:
        """Let go of all that waits and return it."""
        waiting = [held.due for held in self._waiting]
        self._waiting.clear()
        return waiting

    def _limit(self, now: float) -> int:
        oldest = next(iter(self._under_way.values()), now)
        return 1 if now - oldest > SLOW_SECONDS else self._at_once
