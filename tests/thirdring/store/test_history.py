from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.samples import at
from thirdring.record import record_id
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.store import Store
from thirdring.store.dismissing import dismiss, dismissible
from thirdring.store.history import (
    Selection,
    Undelivered,
    bodies,
    calls,
    matches,
    names,
    outbox,
    undelivered,
)
from thirdring.store.outbox import DeliveryState, Endpoint, NewRecord, Outbox, Settlement
from thirdring.store.replaying import Wanted, plan, replay

CLINIC, FILE, OAK = (
    Endpoint("clinic", "webhook"),
    Endpoint("clinic", "file"),
    Endpoint("oak", "webhook"),
)
EVERYWHERE = dict.fromkeys((CLINIC, FILE, OAK), 100)
LEASE = timedelta(minutes=2)


def new(
    number: int, *, business: str | None = "clinic", sinks: tuple[str, ...] = ("webhook",)
) -> NewRecord:
    """Return the record of a call that was opened `number` minutes after the start."""
    call_id = f"call-{number:03}"
    return NewRecord(
        call_id=call_id,
        record_id=record_id(call_id),
        business=business,
        body=f'{{"call": {number}}}'.encode(),
        sinks=sinks,
        caller=f"+1202555{number:04}",
        opened_at=at(60 * number),
        ended_at=at(60 * number + 30),
        reason="completed" if number % 2 else "caller_hung_up",
    )


async def fail(store: Store, state: DeliveryState, *call_ids: str, sink: str = "webhook") -> None:
    """Let deliveries come to a state in which nobody tries them."""
    box, now = Outbox(store), at(9000)
    await box.claim("test", now, lease=LEASE, limit=100, free=EVERYWHERE)
    result = DeliveryResult(Outcome.RETRY, 500, error="HTTP 500")
    settlements = [Settlement(call_id, sink, state, result) for call_id in call_ids]
    await box.settle(settlements, owner="test", now=now)
    await box.release("test")


async def found(store: Store, **chosen: object) -> list[str]:
    selection = replace(Selection(), **chosen)  # type: ignore[arg-type]
    return [call.call_id for call in await calls(store, selection)]


async def test_calls_come_newest_first_as_they_are_chosen(store: Store) -> None:
    """Each part of a selection leaves out what it does not mean; without any, all are there."""
    records = [new(number, business="oak" if number == 3 else "clinic") for number in range(5)]
    await Outbox(store).put(records, at(0))
    assert await found(store) == ["call-004", "call-003", "call-002", "call-001", "call-000"]
    assert await found(store, business="oak") == ["call-003"]
    assert await found(store, since=at(180)) == ["call-004", "call-003"]
    assert await found(store, until=at(60)) == ["call-000"]
    assert await found(store, reason="completed") == ["call-003", "call-001"]
    assert await found(store, caller="0002") == ["call-002"]
    assert await found(store, caller="+12025550002") == ["call-002"]
    assert await found(store, limit=2) == ["call-004", "call-003"]
    assert await found(store, business="clinic", since=at(60), limit=1) == ["call-004"]


async def test_a_call_has_its_deliveries_with_it(store: Store) -> None:
    """One per sink; a record that goes nowhere has none."""
    both = new(1, sinks=("webhook", "file"))
    await Outbox(store).put([both, new(2, business=None, sinks=())], at(0))
    kept, sent = await calls(store, Selection())
    assert kept.deliveries == ()
    assert [(each.sink, each.state, each.due_at) for each in sent.deliveries] == [
        ("webhook", "pending", at(0)),
        ("file", "pending", at(0)),
    ]


async def test_a_call_is_found_by_either_id_and_how_it_begins(store: Store) -> None:
    """What is whole comes alone, even when another id begins with it."""
    records = [new(1), replace(new(2), call_id="call-0012")]
    await Outbox(store).put(records, at(0))
    for text, expected in {
        "call-001": {"call-001"},
        "call-0": {"call-001", "call-0012"},
        str(record_id("call-001")): {"call-001"},
        str(record_id("call-001"))[:8].upper(): {"call-001"},
        "call-1": set(),
        "CALL-0": set(),
        "%": set(),
    }.items():
        assert {call.call_id for call in await matches(store, text)} == expected, text


async def test_what_nobody_tries_any_more_is_told_apart(store: Store) -> None:
    """Dead letters and what is parked, with why and since when, and nothing else."""
    await Outbox(store).put([new(number) for number in range(3)], at(0))
    await fail(store, DeliveryState.DEAD, "call-001")
    (dead,) = await undelivered(store, Selection(), None)
    assert (dead.call.call_id, dead.delivery.attempts, dead.delivery.error) == (
        "call-001",
        1,
        "HTTP 500",
    )
    assert dead.delivery.settled_at == at(9000)
    assert await undelivered(store, Selection(), "file") == []
    await fail(store, DeliveryState.PARKED, "call-000")
    states = [(each.call.call_id, each.delivery.state) for each in await parked_and_dead(store)]
    assert states == [("call-000", "parked"), ("call-001", "dead"), ("call-002", "parked")]


async def parked_and_dead(store: Store) -> list[Undelivered]:
    found = await undelivered(store, Selection(business="clinic"), "webhook")
    return sorted(found, key=lambda each: each.call.call_id)


async def test_the_outbox_is_counted_by_endpoint_and_state(store: Store) -> None:
    """Each count says how old its oldest call is, when the next try is and what fails."""
    await Outbox(store).put([new(number) for number in range(3)], at(0))
    await fail(store, DeliveryState.DEAD, "call-000")
    queues, parked, records = await outbox(store)
    assert [(each.state, each.count, each.failing) for each in queues] == [
        ("dead", 1, 0),
        ("pending", 2, 0),
    ]
    assert (queues[1].oldest_at, queues[1].next_at) == (at(90), at(0))
    assert (parked, records) == ([], 3)
    await Outbox(store).park(CLINIC, at(100))
    _, (closed,), _ = await outbox(store)
    assert (closed.endpoint, closed.since) == (CLINIC, at(100))


async def test_bodies_and_names_are_those_that_were_stored(store: Store) -> None:
    """A call without a record is left out."""
    await Outbox(store).put([new(1), new(2)], at(0))
    assert await bodies(store, ["call-001", "call-009"]) == {"call-001": new(1).body}
    assert await bodies(store, []) == {}
    assert set(await names(store)) == {
        (call_id, str(record_id(call_id))) for call_id in ("call-001", "call-002")
    }
    assert [call_id for call_id, _ in await names(store, 1)] == ["call-002"]


async def due(store: Store) -> list[tuple[str, str, int]]:
    claimed = await Outbox(store).claim(
        "courier", at(9999), lease=LEASE, limit=100, free=EVERYWHERE
    )
    return [(each.call_id, each.sink, each.attempts) for each in claimed]


async def test_a_replay_makes_one_delivery_due_again(store: Store) -> None:
    """Whatever became of it, with a schedule of its own; the record is the same."""
    await Outbox(store).put([new(1), new(2)], at(0))
    await fail(store, DeliveryState.DEAD, "call-001")
    await fail(store, DeliveryState.DELIVERED, "call-002")
    wanted = Wanted(Selection(), frozenset({CLINIC}), call_id="call-002")
    done = await replay(store, wanted, at(9500))
    assert [(each.call_id, each.state) for each in done.deliveries] == [("call-002", "delivered")]
    assert await due(store) == [("call-002", "webhook", 0)]
    assert await Outbox(store).record("call-002") == new(2).body


async def test_a_plan_changes_nothing(store: Store) -> None:
    """It names what a replay would make due; nothing is due after it."""
    await Outbox(store).put([new(1)], at(0))
    await fail(store, DeliveryState.DEAD, "call-001")
    wanted = Wanted(Selection(), frozenset({CLINIC}), undelivered=True)
    assert len((await plan(store, wanted, at(9500))).deliveries) == 1
    assert await due(store) == []


async def test_a_replay_of_all_takes_what_nobody_tries(store: Store) -> None:
    """Dead letters and what is parked, the oldest call first; their endpoint is parked no more."""
    await Outbox(store).put([new(number) for number in (3, 1, 2)], at(0))
    await fail(store, DeliveryState.DELIVERED, "call-003")
    await fail(store, DeliveryState.DEAD, "call-002")
    await fail(store, DeliveryState.PARKED, "call-001")
    done = await replay(store, Wanted(Selection(), frozenset({CLINIC}), undelivered=True), at(9500))
    assert (done.unparked, done.under_way, done.unconfigured) == ((CLINIC,), 0, ())
    assert await due(store) == [("call-001", "webhook", 0), ("call-002", "webhook", 0)]
    again = await replay(
        store, Wanted(Selection(), frozenset({CLINIC}), undelivered=True), at(9500)
    )
    assert again.deliveries == ()


async def test_a_replay_since_a_time_sends_also_what_was_only_kept(store: Store) -> None:
    """A sink that the business has got since has a delivery of its own."""
    records = [new(1), new(2, sinks=()), new(3, business=None, sinks=())]
    await Outbox(store).put(records, at(0))
    wanted = Wanted(Selection(since=at(120)), frozenset({CLINIC, FILE, OAK}))
    done = await replay(store, wanted, at(9500))
    assert [(each.call_id, each.endpoint.sink, each.state) for each in done.deliveries] == [
        ("call-002", "file", None),
        ("call-002", "webhook", None),
    ]
    assert sorted(await due(store)) == [
        ("call-001", "webhook", 0),
        ("call-002", "file", 0),
        ("call-002", "webhook", 0),
    ]


async def test_a_replay_leaves_alone_what_cannot_be_sent_or_is(store: Store) -> None:
    """An endpoint that the configuration does not name, and a delivery that is under way."""
    await Outbox(store).put([new(1), new(2, business="oak")], at(0))
    await Outbox(store).claim("courier", at(9000), lease=LEASE, limit=1, free={CLINIC: 1})
    done = await replay(store, Wanted(Selection(), frozenset({CLINIC})), at(9001))
    assert (done.deliveries, done.under_way, done.unconfigured) == ((), 1, (OAK,))


@pytest.mark.parametrize("sink", ["webhook", "file"])
async def test_a_replay_to_one_sink_leaves_the_others(store: Store, sink: str) -> None:
    """Only the deliveries to it are due again."""
    await Outbox(store).put([new(1, sinks=("webhook", "file"))], at(0))
    for each in ("webhook", "file"):
        await fail(store, DeliveryState.DELIVERED, "call-001", sink=each)
    await replay(store, Wanted(Selection(), frozenset({CLINIC, FILE}), sink=sink), at(9500))
    assert await due(store) == [("call-001", sink, 0)]


async def test_what_is_dismissed_is_nobodys_any_more(store: Store) -> None:
    """Dead letters, what is parked and what nobody is configured for; what may be tried stays."""
    box = Outbox(store)
    await box.put([new(n, business="oak" if n == 4 else "clinic") for n in range(5)], at(0))
    await fail(store, DeliveryState.DEAD, "call-000", "call-001")
    await fail(store, DeliveryState.DELIVERED, "call-002")
    meant = Wanted(Selection(), frozenset({CLINIC}), undelivered=True)
    would = await dismissible(store, meant, at(9000))
    assert would == await dismiss(store, meant, at(9000))
    assert [(item.call_id, item.state) for item in would] == [
        ("call-000", DeliveryState.DEAD),
        ("call-001", DeliveryState.DEAD),
        ("call-004", DeliveryState.PENDING),
    ]
    counts = await box.counts()
    assert (counts[DeliveryState.DISMISSED], counts[DeliveryState.PENDING]) == (3, 1)
    assert await undelivered(store, Selection(), None) == []
    assert await dismiss(store, meant, at(9000)) == []


async def test_what_was_dismissed_can_be_sent_after_all(store: Store) -> None:
    """By a replay of its call; one of all dead letters leaves it alone."""
    await Outbox(store).put([new(0)], at(0))
    await fail(store, DeliveryState.DEAD, "call-000")
    configured = frozenset({CLINIC})
    await dismiss(store, Wanted(Selection(), configured, sink="file"), at(9000))
    await dismiss(store, Wanted(Selection(), configured, call_id="call-001"), at(9000))
    assert len(await undelivered(store, Selection(), None)) == 1
    await dismiss(store, Wanted(Selection(), configured, call_id="call-000"), at(9000))
    assert not (
        await replay(store, Wanted(Selection(), configured, undelivered=True), at(9001))
    ).deliveries
    await replay(store, Wanted(Selection(), configured, call_id="call-000"), at(9001))
    assert (await Outbox(store).counts())[DeliveryState.PENDING] == 1


async def test_what_is_under_way_is_not_dismissed(store: Store) -> None:
    """A courier whose configuration names the endpoint tries it just now."""
    box = Outbox(store)
    await box.put([new(0)], at(0))
    await box.claim("test", at(9000), lease=LEASE, limit=1, free=EVERYWHERE)
    meant = Wanted(Selection(), frozenset(), undelivered=True)
    assert await dismiss(store, meant, at(9001)) == []
    assert len(await dismiss(store, meant, at(9000) + LEASE)) == 1
