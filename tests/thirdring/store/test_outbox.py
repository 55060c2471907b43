from __future__ import annotations

from datetime import timedelta

import pytest

from tests.samples import at
from thirdring.record import record_id
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store import Store
from thirdring.store.outbox import DeliveryState, Due, Endpoint, NewRecord, Outbox, Put, Settlement

FAILED = DeliveryResult(Outcome.RETRY, 500, error="HTTP 500")
CLINIC = Endpoint("clinic", "webhook")
LEASE = timedelta(seconds=30)


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store)


def new(
    call_id: str,
    *,
    body: bytes = b"{}",
    business: str | None = "clinic",
    sinks: tuple[str, ...] = ("webhook",),
    caller: str | None = "+12025550199",
    opened: float = 0,
) -> NewRecord:
    return NewRecord(
        call_id=call_id,
        record_id=record_id(call_id),
        business=business,
        body=body,
        sinks=sinks,
        caller=caller,
        opened_at=at(opened),
        ended_at=at(opened + 60),
        reason="completed",
    )


async def claim(
    outbox: Outbox,
    now: float,
    *,
    owner: str = "one",
    limit: int = 100,
    free: dict[Endpoint, int] | None = None,
) -> list[Due]:
    return await outbox.claim(
        owner, at(now), lease=LEASE, limit=limit, free={CLINIC: 8} if free is None else free
    )


def failed(call_id: str, due: float, sink: str = "webhook") -> Settlement:
    return Settlement(call_id, sink, DeliveryState.PENDING, FAILED, at(due))


async def test_a_call_has_one_record(outbox: Outbox) -> None:
    """The first record of a call stays, whatever comes later, even in one batch."""
    assert await outbox.put([new("c1", body=b"one")], at(0)) == [Put.STORED]
    answers = await outbox.put(
        [new("c2"), new("c1", body=b"one"), new("c1", body=b"two"), new("c2", body=b"2")], at(1)
    )
    assert answers == [Put.STORED, Put.KNOWN, Put.CONFLICT, Put.CONFLICT]
    assert await outbox.record("c1") == b"one"
    assert (await outbox.counts())[DeliveryState.PENDING] == 2


async def test_a_new_record_is_due_at_once(outbox: Outbox) -> None:
    """Even when the clock is set back right after it was stored."""
    await outbox.put([new("c1", body=b"one")], at(60))
    assert await claim(outbox, 0) == [
        Due("c1", str(record_id("c1")), "clinic", "webhook", b"one", attempts=0)
    ]


async def test_a_record_without_sinks_is_kept(outbox: Outbox) -> None:
    """It is stored, and never due, as is that of a call to no business."""
    await outbox.put([new("c1", sinks=()), new("c2", business=None)], at(0))
    assert await claim(outbox, 0) == []
    assert (await outbox.states("c1"), await outbox.states("c2")) == ({}, {})


async def test_a_failed_delivery_waits(outbox: Outbox) -> None:
    """It is due again at its time, not before, and the attempts are counted."""
    await outbox.put([new("c1")], at(0))
    await claim(outbox, 0)
    await outbox.settle([failed("c1", 5)], owner="one", now=at(1))
    assert await claim(outbox, 4.999) == []
    (due,) = await claim(outbox, 5)
    assert due.attempts == 1
