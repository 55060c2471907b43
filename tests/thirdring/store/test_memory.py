"""What is known of callers, in both stores."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from tests.samples import START, at
from thirdring.store import Store
from thirdring.store.memory import MOST_CALLS, MOST_FACTS, CallerFact, CallerMemory, note_facts

CLINIC, NUMBER = "riverside_clinic", "+12025550199"
LONG_AGO = START - timedelta(days=400)


def fact(
    text: str, *, seconds: float = 0, number: str = NUMBER, of_call: bool = False
) -> CallerFact:
    return CallerFact(CLINIC, number, text, f"call-{seconds:g}", at(seconds), of_call)


async def note(store: Store, *facts: CallerFact) -> int:
    return await store.write(lambda connection: note_facts(connection, facts))


async def known(store: Store, number: str = NUMBER) -> list[str]:
    found = await CallerMemory(store, CLINIC).recall(number, since=LONG_AGO)
    return [each.fact for each in found]


async def test_a_fact_comes_back_with_its_call(store: Store) -> None:
    """Whoever reads it can tell which call it is from."""
    noted = fact("Prefers mornings.")
    assert await note(store, noted) == 1
    assert await CallerMemory(store, CLINIC).recall(NUMBER, since=LONG_AGO) == [noted]


async def test_facts_stay_with_their_caller_and_business(store: Store) -> None:
    """Neither another caller nor another business hears of them."""
    await note(store, fact("Prefers mornings."))
    assert await known(store, "+12025550198") == []
    assert await CallerMemory(store, "other").recall(NUMBER, since=LONG_AGO) == []


async def test_the_same_fact_is_kept_once_with_its_last_call(store: Store) -> None:
    """However it is written."""
    await note(store, fact("Prefers mornings."), fact("prefers  Mornings", seconds=60))
    (found,) = await CallerMemory(store, CLINIC).recall(NUMBER, since=LONG_AGO)
    assert (found.fact, found.call_id) == ("prefers  Mornings", "call-60")


async def test_the_oldest_facts_make_room(store: Store) -> None:
    """A caller who tells much fills no store and no instructions."""
    await note(store, *(fact(f"Fact {n}.", seconds=n) for n in range(MOST_FACTS + 3)))
    assert await known(store) == [f"Fact {n}." for n in range(3, MOST_FACTS + 3)]


async def test_calls_make_room_for_calls_only(store: Store) -> None:
    """What a caller has said is not pushed out by how often they call."""
    await note(store, fact("Prefers mornings."))
    calls = [fact(f"Call {n}.", seconds=n + 1, of_call=True) for n in range(MOST_CALLS + 3)]
    await note(store, *calls)
    assert await known(store) == ["Prefers mornings.", *(f"Call {n}." for n in range(3, 8))]


async def test_what_is_too_old_is_not_read(store: Store) -> None:
    """Also when nobody has swept yet."""
    await note(store, fact("Old."), fact("New.", seconds=60))
    found = await CallerMemory(store, CLINIC).recall(NUMBER, since=at(30))
    assert [each.fact for each in found] == ["New."]


async def test_the_sweep_deletes_what_is_too_old(store: Store) -> None:
    """And nothing else."""
    await note(store, fact("Old."), fact("New.", seconds=60))
    swept = await CallerMemory(store, CLINIC).sweep(at(90), timedelta(seconds=60))
    assert (swept, await known(store)) == (1, ["New."])


async def test_the_sweep_deletes_calls_that_nobody_reads(store: Store) -> None:
    """Those before the last five of each caller."""
    calls = [fact(f"Call {n}.", seconds=n, of_call=True) for n in range(MOST_CALLS + 3)]
    await note(store, fact("Prefers mornings."), *calls)
    await note(store, fact("Call 0.", number="+12025550198", of_call=True))
    assert await CallerMemory(store, CLINIC).sweep(at(90), timedelta(days=1)) == 3
    assert await known(store) == ["Prefers mornings.", *(f"Call {n}." for n in range(3, 8))]
    assert await known(store, "+12025550198") == ["Call 0."]


async def test_nothing_is_kept_of_who_has_opted_out(
    store: Store, another: Callable[[], Store]
) -> None:
    """What was known is gone, and nothing comes in any more, after a restart either."""
    await note(store, fact("Prefers mornings."))
    gone = await CallerMemory(store, CLINIC).forget(NUMBER, call_id="call-1", now=at(5))
    async with another() as later:
        kept = await note(later, fact("Prefers evenings.", seconds=60))
        assert (gone, kept, await known(later)) == (1, 0, [])
        assert await CallerMemory(later, CLINIC).opted_out(NUMBER)


async def test_a_caller_may_opt_in_again(store: Store) -> None:
    """An operator lets something be kept; what was forgotten stays forgotten."""
    memory = CallerMemory(store, CLINIC)
    await note(store, fact("Prefers mornings."))
    await memory.forget(NUMBER, call_id="", now=at(5))
    assert await memory.allow(NUMBER)
    await note(store, fact("Prefers evenings.", seconds=60))
    assert await known(store) == ["Prefers evenings."]


async def test_opting_out_wins_over_a_call_at_the_same_time(
    store: Store, another: Callable[[], Store]
) -> None:
    """Whichever comes first, nothing is left."""
    memory = CallerMemory(store, CLINIC)
    async with another() as other:
        await other.connect()
        for n in range(20):
            number = f"+120255502{n:02}"
            await asyncio.gather(
                note(other, fact("Prefers mornings.", number=number)),
                memory.forget(number, call_id="call-1", now=at(5)),
            )
            assert await known(store, number) == []
