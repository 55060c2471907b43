"""A receiver that answers 410 is left in peace until its address changes."""

from __future__ import annotations

import pytest

from tests.samples import at
from tests.thirdring.store.test_outbox import CLINIC, claim, new
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store import Store
from thirdring.store.outbox import DeliveryState, Outbox, Settlement

GONE = DeliveryResult(Outcome.DISABLED, 410, error="HTTP 410")
ADDRESS = "https://clinic.example/calls?token=secret"


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return Outbox(store)


async def gone(outbox: Outbox, call_id: str) -> None:
    settlement = Settlement(call_id, "webhook", DeliveryState.PARKED, GONE)
    await outbox.settle([settlement], owner="one", now=at(1))


async def test_gone_parks_all_that_is_pending(outbox: Outbox) -> None:
    """And what comes later; nothing is delivered there, and other endpoints know nothing of it."""
    await outbox.put([new("c1"), new("c2"), new("c3", sinks=("file",))], at(0))
    assert len(await claim(outbox, 0, limit=1)) == 1
    await gone(outbox, "c1")
    await outbox.put([new("c4")], at(2))
    assert await claim(outbox, 3) == []
    for call_id in ("c1", "c2", "c4"):
        assert await outbox.states(call_id) == {"webhook": DeliveryState.PARKED}
    assert await outbox.states("c3") == {"file": DeliveryState.PENDING}


async def test_another_address_is_another_endpoint(outbox: Outbox) -> None:
    """All that was parked is delivered there; to the same address nothing is."""
    await outbox.configure({CLINIC: ADDRESS}, at(0))
    await outbox.put([new("c1"), new("c2")], at(0))
    await gone(outbox, "c1")
    assert await outbox.configure({CLINIC: ADDRESS}, at(2)) == []
    assert await claim(outbox, 3) == []
    assert await outbox.configure({CLINIC: f"{ADDRESS}2"}, at(4)) == [CLINIC]
    assert [due.attempts for due in await claim(outbox, 5)] == [0, 0]


async def test_an_operator_may_park_and_unpark(outbox: Outbox) -> None:
    """What was pending waits, and is due at once afterwards."""
    await outbox.put([new("c1")], at(0))
    await outbox.park(CLINIC, at(1))
    assert (await outbox.counts())[DeliveryState.PARKED] == 1
    assert await claim(outbox, 2) == []
    assert await outbox.unpark(CLINIC, at(3)) == 1
    assert len(await claim(outbox, 3)) == 1


async def test_what_arrives_late_has_arrived(outbox: Outbox) -> None:
    """One delivery finds the endpoint gone while another is on its way and succeeds."""
    await outbox.put([new("c1"), new("c2")], at(0))
    await claim(outbox, 0)
    await gone(outbox, "c1")
    delivered = Settlement("c2", "webhook", DeliveryState.DELIVERED, None)
    await outbox.settle([delivered], owner="one", now=at(2))
    assert await outbox.states("c2") == {"webhook": DeliveryState.DELIVERED}


async def test_no_address_is_kept(outbox: Outbox, store: Store) -> None:
    """It may have a token in it."""
    await outbox.configure({CLINIC: ADDRESS}, at(0))
    rows = await store.read(lambda c: c.execute("SELECT * FROM endpoints").fetchall())
    assert len(rows) == 1
    assert "secret" not in str(rows)
