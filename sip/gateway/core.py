"""Runs functions of baresip's core on the stack's own thread, the only one where they may run.

The core keeps timers and its lock per thread: from another one `re_thread_enter` does not lock the
stack, and a timer that is started there never fires. Of Python, the stack's thread runs the sink of
events, so what is to be run waits there for the completion of a command.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from baresip import BaresipError, Runtime, _events, _native

__all__ = ["Core"]

logger = logging.getLogger(__name__)

Sink = Callable[[int, int, bytes | None], None]


class Core:
    """The core of one running stack."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: deque[Callable[[], None]] = deque()

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Listen in on the stack's thread; the stack must be running."""
        # Taken out first, what happens meanwhile would be lost.
        events: Sink = _events._sink  # type: ignore[assignment] # the library's own

        def sink(event: int, handle: int, payload: bytes | None) -> None:
            while self._waiting:
                work = self._waiting.popleft()
                try:
                    work()
                except Exception:
                    logger.exception("the gateway could not tell its SIP stack something")
            events(event, handle, payload)

        _set_sink(sink)
        try:
            yield
        finally:
            _set_sink(events)

    async def run(self, work: Callable[[], None]) -> None:
        """Run `work` there, in the order of the calls; left undone when the stack has ended."""
        self._waiting.append(work)
        try:
            # Any command would do.
            await self._runtime.cmd(_native.lib.BP_CMD_CALL_COUNT)
        except BaresipError as error:
            logger.debug("the gateway's SIP stack could not be told something: %s", error)


def _set_sink(sink: Sink) -> None:
    _events.set_sink(sink)  # type: ignore[no-untyped-call] # the library's own
