"""The pace of one endpoint, by a clock that the test sets."""

from __future__ import annotations

from datetime import datetime

import pytest

from thirdring.courier.lane import AT_ONCE, SLOW_SECONDS, Lane
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.schedule import SCHEDULE, jitter_of, next_attempt
from thirdring.store.outbox import Due, Endpoint

ENDPOINT = Endpoint("riverside_clinic", "webhook")


def dues(count: int) -> list[Due]:
    return [Due(f"call-{n}", f"{n:08x}", *ENDPOINT, b"{}", 0) for n in range(count)]


def filled(count: int) -> Lane:
    lane = Lane(ENDPOINT)
    lane.take(dues(count), start_until=100)
    return lane


def started(lane: Lane, now: float) -> list[Due]:
    found = []
    while (due := lane.next(now)) is not None:
        found.append(due)
    return found


def test_an_endpoint_begins_with_one_and_doubles() -> None:
    """Every success lets twice as many go at one time, up to the most there may be."""
    lane = filled(100)
    counts = []
    for _ in range(6):
        batch = started(lane, 0)
        counts.append(len(batch))
        lane.succeed(batch[0])
        for due in batch[1:]:
            lane.succeed(due)
    assert counts == [1, 2, 8, 8, 8, 8]
    assert AT_ONCE == 8


def test_a_failure_leaves_one_at_a_time_and_a_rest() -> None:
    """What fails is left alone for longer and longer, and never for more than a second."""
    lane = filled(100)
    for _ in range(4):
        for due in started(lane, 0):
            lane.succeed(due)
    rests = []
    now = 0.0
    first, *others = started(lane, now)
    for due in others:
        lane.succeed(due)
    for _ in range(8):
        rest = lane.fail(first, now)
        rests.append(rest)
        assert started(lane, now) == []
        now += rest
        (first,) = started(lane, now)
    assert rests == [0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1]


def test_an_endpoint_that_hangs_gets_nothing_more() -> None:
    """Its attempts stay as many as they were when it began to hang, and one afterwards."""
    lane = filled(100)
    for _ in range(4):
        for due in started(lane, 0):
            lane.succeed(due)
    hanging = started(lane, 0)
    assert (len(hanging), lane.room(SLOW_SECONDS + 1, 64)) == (8, 0)
    assert started(lane, SLOW_SECONDS + 1) == []
    for due in hanging:
        lane.fail(due, 15)
    assert len(started(lane, 17)) == 1


def test_what_waits_for_too_long_is_given_up() -> None:
    """A lease that may end during an attempt is not used."""
    lane = filled(3)
    assert len(started(lane, 0)) == 1
    assert lane.give_up(99) == []
    assert [due.call_id for due in lane.give_up(101)] == ["call-1", "call-2"]


@pytest.mark.parametrize("seconds", [72 * 3600])
def test_three_days_are_always_within_the_schedule(seconds: int) -> None:
    """Whatever the id of a record, its last attempt comes after an outage of three days."""
    result = DeliveryResult(Outcome.RETRY)
    shortest, beyond = float("inf"), 0
    for spread in range(0, 0x100000000, 0x1000000):
        record_id = f"{spread:08x}-0000-5000-8000-000000000000"
        at = start = datetime(2026, 11, 20)  # noqa: DTZ001 - no zone needed
        for attempts in range(1, len(SCHEDULE)):
            jitter = jitter_of(record_id, attempts)
            due_at = next_attempt(result, attempts, at, jitter)
            assert due_at is not None
            wait = (due_at - at) / SCHEDULE[attempts]
            beyond += not 0.8 <= wait <= 1.2
            at = due_at
        shortest = min(shortest, (at - start).total_seconds())
    print(f"256 records, shortest {shortest / 3600:.1f} h, {beyond} early")  # noqa: T201 - beside the zero
    assert (shortest > seconds, beyond) == (True, 0)
