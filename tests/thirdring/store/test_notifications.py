"""The queue of what staff are told, in both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from tests.samples import START, at
from thirdring.staff import Target
from thirdring.store import Store
from thirdring.store.notifications import (
    DueNotification,
    Notice,
    NotificationQueue,
    NotificationState,
    Sending,
)

DANA = Target("riverside_clinic", "dana", 0)
LEE = Target("riverside_clinic", "lee", 0)
MINUTE = timedelta(minutes=1)
NOTICE = Notice(
    key="message-1",
    business="riverside_clinic",
    title="A message",
    body="Call me.",
    urgent=False,
    call_id="call-1",
    created_at=START,
    targets=(DANA, LEE),
)


async def claim(
    queue: NotificationQueue, owner: str = "one", seconds: float = 0
) -> list[DueNotification]:
    return await queue.claim(owner, at(seconds), lease=MINUTE, free=[DANA, LEE], limit=9)


async def test_each_target_gets_its_own(store: Store) -> None:
    """One row each: one who cannot be reached is no matter of the other's."""
    queue = NotificationQueue(store)
    await queue.add(NOTICE)
    assert [(due.target, due.title) for due in await claim(queue)] == [
        (DANA, "A message"),
        (LEE, "A message"),
    ]


async def test_the_same_thing_is_told_once(store: Store) -> None:
    """A tool that is called again tells nobody again."""
    queue = NotificationQueue(store)
    await queue.add(NOTICE)
    await queue.add(replace(NOTICE, title="Once more"))
    assert [each.title for each in await queue.of_call("call-1")] == ["A message"] * 2


async def test_what_is_claimed_is_nobody_elses(store: Store, another: Callable[[], Store]) -> None:
    """Until its lease ends."""
    async with another() as other:
        mine, theirs = NotificationQueue(store), NotificationQueue(other)
        await mine.add(NOTICE)
        await other.connect()
        first, second = await asyncio.gather(claim(mine), claim(theirs, "two"))
        assert len(first) + len(second) == 2
        assert await claim(theirs, "two", 30) == []
        assert len(await claim(theirs, "two", 61)) == 2


async def test_urgent_ones_come_first(store: Store) -> None:
    """Also when they are the younger ones."""
    queue = NotificationQueue(store)
    await queue.add(replace(NOTICE, targets=(DANA,)))
    urgent = replace(NOTICE, key="2", title="Now", urgent=True, created_at=at(5), targets=(DANA,))
    await queue.add(urgent)
    assert [due.title for due in await claim(queue, seconds=9)] == ["Now"]


async def test_a_failure_is_tried_again_at_its_time(store: Store) -> None:
    """Not before, and with its attempt counted."""
    queue = NotificationQueue(store)
    await queue.add(replace(NOTICE, targets=(DANA,)))
    (due,) = await claim(queue)
    failed = Sending(due.id, NotificationState.PENDING, at(10), "no answer")
    await queue.settle([failed], owner="one", now=at(1))
    assert await claim(queue, seconds=9) == []
    assert [due.attempts for due in await claim(queue, seconds=10)] == [1]


async def test_a_failure_of_somebody_whose_lease_has_ended_counts_for_nothing(store: Store) -> None:
    """Somebody else is trying."""
    queue = NotificationQueue(store)
    await queue.add(replace(NOTICE, targets=(DANA,)))
    (due,) = await claim(queue)
    await claim(queue, "two", 61)
    failed = Sending(due.id, NotificationState.DEAD, error="no answer")
    await queue.settle([failed], owner="one", now=at(62))
    (found,) = await queue.of_call("call-1")
    assert (found.state, found.attempts) == (NotificationState.PENDING, 0)


async def test_what_was_sent_is_settled(store: Store) -> None:
    """It is claimed no more, and counted as sent."""
    queue = NotificationQueue(store)
    await queue.add(NOTICE)
    dues = await claim(queue)
    sent = [Sending(due.id, NotificationState.SENT) for due in dues]
    await queue.settle(sent, owner="one", now=at(1))
    assert await claim(queue, seconds=100) == []
    standing = await queue.standing(dead_since=START)
    assert [(each.state, each.count) for each in standing] == [(NotificationState.SENT, 2)]


async def test_what_was_given_up_long_ago_is_not_counted(store: Store) -> None:
    """Nobody can do anything about it any more."""
    queue = NotificationQueue(store)
    await queue.add(replace(NOTICE, targets=(DANA,)))
    (due,) = await claim(queue)
    dead = Sending(due.id, NotificationState.DEAD, error="no answer")
    await queue.settle([dead], owner="one", now=at(5))
    assert [each.count for each in await queue.standing(dead_since=at(5))] == [1]
    assert await queue.standing(dead_since=at(6)) == []


async def test_leases_are_given_up_at_the_start(store: Store) -> None:
    """What a courier had taken when it died is due at once for its successor."""
    queue = NotificationQueue(store)
    await queue.add(NOTICE)
    await claim(queue)
    assert (await queue.release("one"), len(await claim(queue))) == (2, 2)


async def test_the_sweep_leaves_what_is_pending(store: Store) -> None:
    """What was sent long ago goes; what nobody could be told stays."""
    queue = NotificationQueue(store)
    await queue.add(NOTICE)
    (first, _) = await claim(queue)
    await queue.settle([Sending(first.id, NotificationState.SENT)], owner="one", now=at(1))
    assert await queue.sweep("riverside_clinic", at(2)) == 1
    assert [each.target for each in await queue.of_call("call-1")] == [LEE]
