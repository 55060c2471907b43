"""Time that only goes forward."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.samples import START, SetClock
from thirdring.courier.forward_clock import ForwardClock


@pytest.mark.parametrize(
    ("jump", "seen"),
    [(timedelta(hours=-1), timedelta(0)), (timedelta(hours=1), timedelta(hours=1))],
    ids=["back", "forward"],
)
def test_a_clock_that_is_set_never_makes_time_go_back(jump: timedelta, seen: timedelta) -> None:
    """Ten minutes later it is at least ten minutes later, whatever the clock says."""
    clock, seconds = SetClock(), [100.0]
    forward = ForwardClock(clock, lambda: seconds[0])
    assert forward.now() == START
    clock.moment += jump
    assert forward.now() == START + seen
    seconds[0] += 600
    clock.moment += timedelta(seconds=600)
    assert forward.now() == START + seen + timedelta(seconds=600)
