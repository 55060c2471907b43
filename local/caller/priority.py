"""Real-time priority for the threads of a live call, where the machine allows it (root does).

On a busy machine packets would else leave up to 30 ms late, whatever a thread's nice value: Linux
weighs whole sessions against each other. The event loop's thread needs it as well, or it may be
stopped while it holds the interpreter that the packets wait for. Both sleep nearly always, so they
take nothing from what is measured; how well packets were paced is reported either way.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

__all__ = ["real_time"]


class _Depth(threading.local):
    calls = 0


_depth = _Depth()


@contextlib.contextmanager
def real_time() -> Iterator[None]:
    """Let this thread run the moment its time comes; the last block of a thread ends that.

    Threads and processes that it starts meanwhile are ordinary ones.
    """
    if sys.platform != "linux":
        yield
        return
    _depth.calls += 1
    with contextlib.suppress(OSError):
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(1))
    try:
        yield
    finally:
        _depth.calls -= 1
        if not _depth.calls:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
