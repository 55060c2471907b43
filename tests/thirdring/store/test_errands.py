"""Errands are kept under ids of ours, once per tool call, and end with what came of them."""

from __future__ import annotations

from dataclasses import replace

from tests.samples import at
from thirdring.store import Store
from thirdring.store.errands import Errand, Wish, add, find, open_errands, settle

WISH = Wish(
    business="concierge",
    kind="reservation",
    number="+12025550170",
    details={"restaurant": "Bella Vista", "party_size": 4},
    call_id="c1",
    key="c1:t1",
)


async def added(store: Store, wish: Wish = WISH) -> Errand:
    return await store.write(lambda connection: add(connection, wish, now=at(0)))


async def test_an_errand_can_be_found_by_its_id(store: Store) -> None:
    """What was wished for comes back as it was given."""
    errand = await added(store)
    assert (errand.id, errand.state, errand.result) == ("E-1001", "open", None)
    assert errand.details == WISH.details
    assert await find(store, "concierge", "E-1001") == errand


async def test_no_business_finds_the_errands_of_another(store: Store) -> None:
    """Ids count for each business on its own, and lead to its own errands only."""
    await added(store)
    other = await added(store, replace(WISH, business="clinic", key="c2:t1"))
    assert other.id == "E-1001"
    assert (await find(store, "clinic", "E-1001")) == other
    assert await find(store, "bakery", "E-1001") is None


async def test_one_tool_call_adds_one_errand(store: Store) -> None:
    """Asked again with the same key, the first one is returned."""
    assert await added(store) == await added(store)
    assert len(await open_errands(store, "concierge")) == 1


async def test_errands_that_are_done_are_open_no_more(store: Store) -> None:
    """What came of an errand is kept with it."""
    first = await added(store)
    second = await added(store, replace(WISH, key="c1:t2"))
    await settle(store, first, state="confirmed", result={"quote": "See you."}, now=at(60))
    done = await find(store, "concierge", first.id)
    assert done is not None
    assert (done.state, done.result) == ("confirmed", {"quote": "See you."})
    assert await open_errands(store, "concierge") == [second]
