from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.samples import at
from thirdring.record import record_id
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store import Store
from thirdring.store.outbox import DeliveryState, Outbox, Put

FAILED = DeliveryResult(Outcome.RETRY, 500, error="HTTP 500")


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with await Store.open(tmp_path / "store.db") as store:
        yield Outbox(store)


async def put(
    outbox: Outbox,
    call_id: str,
    *,
    body: bytes = b"{}",
    business: str = "clinic",
    deliver: bool = True,
    now: float = 0,
) -> Put:
    return await outbox.put(
        call_id, record_id(call_id), body, business=business, deliver=deliver, now=at(now)
    )


async def test_a_call_has_one_record(outbox: Outbox) -> None:
    """The first record of a call stays, whatever comes later."""
    assert await put(outbox, "c1", body=b"one") is Put.STORED
    assert await put(outbox, "c1", body=b"one") is Put.KNOWN
    assert await put(outbox, "c1", body=b"two") is Put.CONFLICT
    assert await outbox.record("c1") == b"one"


async def test_a_new_record_is_due_at_once(outbox: Outbox) -> None:
    """Even when the clock is set back right after it was stored."""
    await put(outbox, "c1", body=b"one", now=60)
    (due,) = await outbox.due(at(0))
    assert (due.call_id, due.business, due.body, due.attempts) == ("c1", "clinic", b"one", 0)
    assert due.record_id == str(record_id("c1"))


async def test_a_record_without_webhook_is_kept(outbox: Outbox) -> None:
    """It is stored, and never due."""
    await put(outbox, "c1", deliver=False)
    assert await outbox.due(at(0)) == []
    assert await outbox.state("c1") is DeliveryState.KEPT


async def test_a_failed_delivery_waits(outbox: Outbox) -> None:
    """It is due again at its time, not before, and the attempts are counted."""
    await put(outbox, "c1")
    await outbox.settle("c1", DeliveryState.PENDING, FAILED, now=at(1), due_at=at(5))
    assert await outbox.due(at(4.999)) == []
    (due,) = await outbox.due(at(5))
    assert due.attempts == 1


@pytest.mark.parametrize(
    "state", [DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.DISABLED]
)
async def test_a_settled_delivery_stays_settled(outbox: Outbox, state: DeliveryState) -> None:
    """A late result changes nothing, and nothing is due."""
    await put(outbox, "c1")
    await outbox.settle("c1", state, FAILED, now=at(1))
    await outbox.settle("c1", DeliveryState.PENDING, FAILED, now=at(2), due_at=at(3))
    assert await outbox.due(at(9)) == []
    assert await outbox.state("c1") is state
    assert (await outbox.counts())[state] == 1


async def test_one_business_does_not_hold_up_the_others(outbox: Outbox) -> None:
    """However long its queue is, each business has its share of what is due."""
    for number in range(5):
        await put(outbox, f"slow-{number}", business="slow", now=number)
    await put(outbox, "fast-1", business="fast", now=9)
    due = await outbox.due(at(10), per_business=2)
    assert [item.call_id for item in due] == ["slow-0", "slow-1", "fast-1"]


async def test_a_call_without_record_is_unknown(outbox: Outbox) -> None:
    """Asking for what is not there is no error."""
    assert (await outbox.record("c1"), await outbox.state("c1")) == (None, None)
    assert set((await outbox.counts()).values()) == {0}
