"""When to try again."""

from __future__ import annotations

from datetime import datetime, timedelta

from thirdring.sinks.results import DeliveryResult

__all__ = ["SCHEDULE", "jitter_of", "next_attempt"]

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long to wait before each attempt, about three days in all (Standard Webhooks, "retries")."""

JITTER = 0.2


def next_attempt(
    result: DeliveryResult, attempts: int, now: datetime, jitter: float
) -> datetime | None:
    """Return when to try again, or None when all attempts of the schedule are used up.

    `Retry-After` can only lengthen the wait: a receiver that asks for one second for three days
    would otherwise use up its ten attempts within ten.

    Args:
        attempts: How many there were.
        jitter: From -1 to 1; moves the scheduled wait by up to 20 %, so that the records of an
            outage do not come back in one wave.
    """
    if attempts >= len(SCHEDULE):
        return None
    wait = SCHEDULE[attempts] * (1 + JITTER * jitter)
    return now + max(wait, result.retry_after or timedelta(0))


def jitter_of(uuid: str, attempts: int) -> float:
    """Return from -1 to 1 how far to move a wait; the same for a record whenever it is asked.

    The sign alternates from attempt to attempt. So each wait is anywhere within its 20 %, while all
    of them together never end before 73 of their 75.6 hours: an endpoint that is down for three
    days gets every record. Were each drawn by itself, one record in five would be given up before.

    Args:
        uuid: Of what is sent: a record, or a notification.
    """
    spread = int(uuid[:8], 16) / 0xFFFFFFFF * 2 - 1
    return spread if attempts % 2 else -spread
