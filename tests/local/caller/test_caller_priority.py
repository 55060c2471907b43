"""Real-time priority of a thread, where the machine grants it."""

from __future__ import annotations

import os
import sys

import pytest

from local.caller.priority import real_time


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these schedulers")
def test_the_last_of_several_calls_gives_the_priority_back() -> None:
    """Calls that overlap in one thread keep it until the last one ends, in whichever order."""
    before = os.sched_getscheduler(0)
    first, second = real_time(), real_time()
    first.__enter__()
    granted = os.sched_getscheduler(0)
    second.__enter__()
    first.__exit__(None, None, None)
    assert os.sched_getscheduler(0) == granted
    second.__exit__(None, None, None)
    assert os.sched_getscheduler(0) == before
