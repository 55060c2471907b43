from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.samples import at
from thirdring.errors import StoreError
from thirdring.record import record_id
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store import Store, to_text
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


async def test_a_call_with_a_strange_name_is_delivered(outbox: Outbox) -> None:
    """One that no text of PostgreSQL can hold, or only in another form, is stored and due once."""
    names = ["a\0b", "\u202ec", "\N{ANGSTROM SIGN}"]
    records = [new(name) for name in names]
    assert await outbox.put(records, at(0)) == [Put.STORED] * 3
    assert await outbox.put(records, at(0)) == [Put.KNOWN] * 3
    due = await claim(outbox, 0)
    assert {each.record_id for each in due} == {str(record_id(name)) for name in names}


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


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.DEAD])
async def test_a_settled_delivery_stays_settled(outbox: Outbox, state: DeliveryState) -> None:
    """A late result changes nothing, and nothing is due."""
    await outbox.put([new("c1")], at(0))
    await claim(outbox, 0)
    await outbox.settle([Settlement("c1", "webhook", state, FAILED)], owner="one", now=at(1))
    await outbox.settle([failed("c1", 3)], owner="one", now=at(2))
    assert await claim(outbox, 9) == []
    assert await outbox.states("c1") == {"webhook": state}
    assert (await outbox.counts())[state] == 1


async def test_each_sink_has_its_own_delivery(outbox: Outbox) -> None:
    """That one sink fails is nothing to the others."""
    await outbox.put([new("c1", sinks=("webhook", "file", "mongodb"))], at(0))
    free = dict.fromkeys([CLINIC, Endpoint("clinic", "file"), Endpoint("clinic", "mongodb")], 8)
    assert {due.endpoint for due in await claim(outbox, 0, free=free)} == set(free)
    delivered = Settlement("c1", "file", DeliveryState.DELIVERED, None)
    await outbox.settle([delivered, failed("c1", 5)], owner="one", now=at(1))
    assert await outbox.states("c1") == {
        "webhook": DeliveryState.PENDING,
        "file": DeliveryState.DELIVERED,
        "mongodb": DeliveryState.PENDING,
    }
    assert [due.sink for due in await claim(outbox, 5, free=free)] == ["webhook"]


async def test_one_business_does_not_hold_up_the_others(outbox: Outbox) -> None:
    """However long its queue is, each endpoint gets what it has room for, the oldest first."""
    slow, fast = Endpoint("slow", "webhook"), Endpoint("fast", "webhook")
    for number in range(5):
        await outbox.put([new(f"slow-{number}", business="slow")], at(number))
    await outbox.put([new("fast-1", business="fast")], at(9))
    due = await claim(outbox, 10, free={slow: 2, fast: 8})
    assert [item.call_id for item in due] == ["slow-0", "slow-1", "fast-1"]
    due = await claim(outbox, 10, free={slow: 8, fast: 8}, limit=2)
    assert [item.call_id for item in due] == ["slow-2", "slow-3"]


async def test_the_oldest_goes_first_whether_new_or_not(outbox: Outbox) -> None:
    """A record that failed before does not wait for all those that came since."""
    await outbox.put([new("c1")], at(0))
    await claim(outbox, 0)
    await outbox.settle([failed("c1", 5)], owner="one", now=at(1))
    await outbox.put([new("c2")], at(4))
    await outbox.put([new("c3")], at(6))
    assert [due.call_id for due in await claim(outbox, 7)] == ["c2", "c1", "c3"]


async def test_what_nobody_configures_waits(outbox: Outbox) -> None:
    """A webhook that was taken out of the configuration gets its records when it is back."""
    await outbox.put([new("c1")], at(0))
    assert await claim(outbox, 1, free={Endpoint("other", "webhook"): 8}) == []
    assert len(await claim(outbox, 2)) == 1


async def test_a_call_without_record_is_unknown(outbox: Outbox) -> None:
    """Asking for what is not there is no error."""
    assert (await outbox.record("c1"), await outbox.states("c1")) == (None, None)
    assert set((await outbox.counts()).values()) == {0}


async def test_a_caller_is_counted_once_per_call(outbox: Outbox, store: Store) -> None:
    """With the record, and not again when a record is known; nobody without a number is."""
    await outbox.put([new("c1", opened=100), new("c2", opened=50), new("c3", caller=None)], at(0))
    await outbox.put([new("c1", opened=100), new("c4", opened=70), new("c5", business=None)], at(1))
    rows = await store.read(lambda c: c.execute("SELECT * FROM callers").fetchall())
    assert rows == [
        {
            "business": "clinic",
            "number": "+12025550199",
            "first_call_at": to_text(at(50)),
            "last_call_at": to_text(at(100)),
            "calls": 3,
        }
    ]


async def test_what_is_hastened_loses_no_attempt(outbox: Outbox) -> None:
    """It is due at once, as often as its endpoint comes back, and has as many attempts left."""
    await outbox.put([new("c1")], at(0))
    await claim(outbox, 1)
    await outbox.settle([failed("c1", 5000)], owner="one", now=at(1))
    before = await claim(outbox, 5000)
    await outbox.settle([failed("c1", 9000)], owner="one", now=at(5001))
    for round_ in range(20):
        now = 5100.0 + round_
        assert await outbox.hasten(at(now), beyond=at(now), endpoint=CLINIC) == 1
        assert await claim(outbox, now) == before
        await outbox.settle([failed("c1", 9000)], owner="one", now=at(now))


async def test_what_was_asked_to_come_later_is_not_hastened(outbox: Outbox) -> None:
    """A 429 is about this endpoint's pace, whatever it answers to others."""
    await outbox.put([new("c1")], at(0))
    await claim(outbox, 1)
    asked = replace(failed("c1", 5000), result=DeliveryResult(Outcome.RETRY, 429))
    await outbox.settle([asked], owner="one", now=at(1))
    assert await outbox.hasten(at(2), beyond=at(2), endpoint=CLINIC) == 0
    assert await claim(outbox, 4999) == []


async def test_a_batch_is_stored_whole_or_not_at_all(outbox: Outbox, store: Store) -> None:
    """What cannot be stored takes nothing half-way in: no record, no delivery, no caller."""
    twin = replace(new("c2"), record_id=record_id("c1"))
    with pytest.raises(StoreError):
        await outbox.put([new("c1"), twin], at(0))
    left = await store.read(
        lambda connection: connection.execute(
            "SELECT call_id FROM records UNION ALL SELECT call_id FROM deliveries"
            " UNION ALL SELECT number FROM callers"
        ).fetchall()
    )
    assert left == []


async def test_odd_texts_and_bytes_come_back(outbox: Outbox) -> None:
    """Whatever a stranger's SIP header or receiver says, the record is stored and delivered."""
    body = bytes(range(256)) + "é%s?".encode()
    await outbox.put([new("c%s?'\"", body=body)], at(0))
    (due,) = await claim(outbox, 1)
    assert (due.call_id, due.body) == ("c%s?'\"", body)
    odd = DeliveryResult(Outcome.RETRY, 500, error="nul \0, 100 %, ?, 诊所")
    settlement = Settlement(due.call_id, "webhook", DeliveryState.DEAD, odd)
    await outbox.settle([settlement], owner="one", now=at(2))
    assert await outbox.states(due.call_id) == {"webhook": DeliveryState.DEAD}
