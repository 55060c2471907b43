"""What operators do to thousands of deliveries, while calls and couriers need the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.peers.counts import tell
from tests.samples import at
from tests.thirdring.store.test_outbox import CLINIC, LEASE, claim, new
from thirdring.errors import StoreError
from thirdring.home import Home
from thirdring.store import Store, open_store
from thirdring.store.dismissing import dismiss
from thirdring.store.history import Selection
from thirdring.store.outbox import DeliveryState, Outbox, Settlement
from thirdring.store.replaying import AT_ONCE, Wanted, replay

COUNT = 2 * AT_ONCE + 500
ALL = Wanted(Selection(), frozenset({CLINIC}), undelivered=True)


async def dead(outbox: Outbox, count: int) -> None:
    """Make a dead letter of each of so many calls."""
    await outbox.put([new(f"c{n:05}", opened=n) for n in range(count)], at(0))
    await claim(outbox, 1, limit=count, free={CLINIC: count})
    lost = [Settlement(f"c{n:05}", "webhook", DeliveryState.DEAD, None) for n in range(count)]
    await outbox.settle(lost, owner="one", now=at(2))


class Interrupted:
    """A store with which somebody else does something before each write."""

    def __init__(self, store: Store, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._store = store
        self._meanwhile = meanwhile
        self.read = store.read

    async def write(self, work: Callable[..., object]) -> object:
        """Let somebody else be first."""
        await self._meanwhile()
        return await self._store.write(work)


async def test_a_large_replay_lets_others_in_between(
    store: Store, another: Callable[[], Store], capsys: pytest.CaptureFixture[str]
) -> None:
    """What a courier takes meanwhile stays its own; in the end each is due once, in order."""
    outbox = Outbox(store)
    await dead(outbox, COUNT)
    async with another() as other:
        taken: list[str] = []

        async def courier() -> None:
            dues = await claim(Outbox(other), 10, owner="two", limit=1, free={CLINIC: 1})
            taken.extend(due.call_id for due in dues)

        found = await replay(Interrupted(store, courier), ALL, at(5))  # type: ignore[arg-type]
    assert len(found.deliveries) == COUNT
    rest = [d.call_id for d in await claim(outbox, 10, limit=COUNT, free={CLINIC: COUNT})]
    assert taken == ["c00000", "c00001"]
    assert rest == [f"c{n:05}" for n in range(2, COUNT)]
    tell(capsys, f"deliveries of a replay that two couriers have: 0 of n={COUNT}")


@pytest.mark.parametrize("change", [replay, dismiss])
async def test_what_a_courier_takes_meanwhile_is_left_alone(
    store: Store, another: Callable[[], Store], change: Callable[..., Awaitable[object]]
) -> None:
    """Neither a replay nor a dismissal takes away what is claimed just before the write."""
    outbox = Outbox(store)
    await outbox.put([new("c1")], at(0))
    meant = Wanted(Selection(), frozenset({CLINIC} if change is replay else ()))
    async with another() as other:

        async def courier() -> None:
            assert len(await claim(Outbox(other), 10, owner="two")) == 1

        await change(Interrupted(store, courier), meant, at(5))
    assert await claim(outbox, 11) == []
    assert (await outbox.counts())[DeliveryState.PENDING] == 1


async def test_a_large_dismissal_is_whole(store: Store) -> None:
    """Every one of them, although not in one transaction."""
    await dead(Outbox(store), COUNT)
    assert len(await dismiss(store, ALL, at(5) + LEASE)) == COUNT
    counts: Mapping[DeliveryState, int] = await Outbox(store).counts()
    assert counts[DeliveryState.DISMISSED] == COUNT


async def test_operators_wait_longer_than_callers(
    tmp_path: Path, store_environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a caller would have been told already, they get their answer."""

    async def ask(patience: float | None) -> Sequence[object]:
        async with open_store(Home(tmp_path), store_environ, patience=patience) as store:
            await store.connect()
            monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0)
            monkeypatch.setattr("thirdring.store.threaded.GRACE_SECONDS", 0)
            found = await store.read(lambda c: c.execute("SELECT * FROM records").fetchall())
            monkeypatch.undo()
            return found

    assert await ask(30) == []
    with pytest.raises(StoreError):
        await ask(None)
