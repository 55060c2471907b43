"""Several couriers, one store: each delivery is one courier's at a time."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.samples import at
from tests.thirdring.store.test_outbox import claim, failed, new
from thirdring.store import Store
from thirdring.store.outbox import DeliveryState, Endpoint, Outbox, Settlement

ROOT = Path(__file__).parents[3]
COURIER = """
import asyncio, json, signal, sys
from pathlib import Path
from tests.thirdring.store.test_outbox import claim
from thirdring.home import Home
from thirdring.store import open_store
from thirdring.store.outbox import Outbox

async def main():
    async with open_store(Home(Path(sys.argv[1])), json.loads(sys.argv[2])) as store:
        print(len(await claim(Outbox(store), 0, owner="killed")), flush=True)
        signal.pause()

asyncio.run(main())
"""


async def test_what_is_claimed_is_nobody_elses(store: Store) -> None:
    """Until the lease ends; then anybody may take it."""
    outbox = Outbox(store)
    await outbox.put([new("c1")], at(0))
    assert len(await claim(outbox, 0, owner="one")) == 1
    assert await claim(outbox, 29, owner="two") == []
    assert len(await claim(outbox, 30, owner="two")) == 1


async def test_a_restarted_courier_takes_its_own_back_at_once(store: Store) -> None:
    """What its predecessor of the same name held, and nothing of others."""
    outbox = Outbox(store)
    await outbox.put([new("c1"), new("c2")], at(0))
    await claim(outbox, 0, owner="one", limit=1)
    await claim(outbox, 0, owner="two", limit=1)
    assert await outbox.release("one") == 1
    assert [due.call_id for due in await claim(outbox, 1, owner="one")] == ["c1"]


async def test_only_the_owner_notes_a_failure(store: Store) -> None:
    """Who comes late with one does not disturb the next; what has arrived counts all the same."""
    outbox = Outbox(store)
    await outbox.put([new("c1"), new("c2")], at(0))
    await claim(outbox, 0, owner="one")
    assert len(await claim(outbox, 40, owner="two")) == 2
    delivered = Settlement("c2", "webhook", DeliveryState.DELIVERED, None)
    await outbox.settle([failed("c1", 41), delivered], owner="one", now=at(40))
    assert await claim(outbox, 45, owner="three") == []
    assert (await outbox.counts())[DeliveryState.DELIVERED] == 1
    await outbox.settle([failed("c1", 50)], owner="two", now=at(46))
    (due,) = await claim(outbox, 50, owner="three")
    assert due.attempts == 1


async def test_couriers_share_the_outbox(another: Callable[[], Store], store: Store) -> None:
    """Of 2,000 deliveries each is claimed by exactly one of four who claim at the same time."""
    endpoints = [Endpoint(f"business_{number}", "webhook") for number in range(4)]
    records = [new(f"c{n}", business=endpoints[n % 4].business) for n in range(2000)]
    await Outbox(store).put(records, at(0))
    claimed: Counter[str] = Counter()
    shares: Counter[str] = Counter()

    async def courier(owner: str) -> None:
        async with another() as mine:
            outbox = Outbox(mine)
            free = dict.fromkeys(endpoints, 16)
            while dues := await claim(outbox, 1, owner=owner, limit=50, free=free):
                claimed.update(due.call_id for due in dues)
                shares[owner] += len(dues)
                done = [Settlement(d.call_id, d.sink, DeliveryState.DELIVERED, None) for d in dues]
                await outbox.settle(done[:25], owner=owner, now=at(1))
                await outbox.settle(done[25:], owner=owner, now=at(1))

    await asyncio.gather(*(courier(f"courier-{number}") for number in range(4)))
    print(f"{len(claimed)} claimed, 0 of them twice; shares {sorted(shares.values())}")  # noqa: T201
    assert len(claimed) == 2000
    assert set(claimed.values()) == {1}
    assert (await Outbox(store).counts())[DeliveryState.DELIVERED] == 2000


async def test_a_killed_couriers_leases_run_out(
    store: Store, tmp_path: Path, store_environ: Mapping[str, str]
) -> None:
    """What a process held that died by SIGKILL, another takes when the lease has ended."""
    outbox = Outbox(store)
    await outbox.put([new(f"c{number}") for number in range(5)], at(0))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COURIER, str(tmp_path), json.dumps(dict(store_environ)),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"5\n"
    process.kill()
    await process.wait()
    assert await claim(outbox, 29, owner="other") == []
    assert len(await claim(outbox, 30, owner="other")) == 5


async def test_ten_thousand_that_wait_do_not_slow_a_claim(
    store: Store, store_environ: Mapping[str, str]
) -> None:
    """Not when one endpoint has them all due, nor when all of them wait for their time."""
    outbox = Outbox(store)
    slow, quick = Endpoint("slow", "webhook"), Endpoint("quick", "webhook")
    for start in range(0, 10_000, 500):
        await outbox.put([new(f"c{start + n}", business="slow") for n in range(500)], at(0))
    await outbox.put([new("quick", business="quick")], at(1))
    free = {slow: 8, quick: 8}
    # SQLite works in this process. PostgreSQL has one of its own, on a machine busy with tests.
    own = "THIRDRING_STORE" not in store_environ
    clock = time.process_time if own else time.perf_counter

    async def measured(now: float, free: dict[Endpoint, int]) -> tuple[int, float]:
        began = clock()
        claimed = await claim(outbox, now, limit=32, free=free)
        return len(claimed), (clock() - began) * 1000

    counts, times = zip(*[await measured(2, free) for _ in range(5)], strict=True)
    assert counts == (9, 8, 8, 8, 8)
    await outbox.release("one")
    while part := await claim(outbox, 2, limit=500, free={slow: 500, quick: 1}):
        later = [failed(due.call_id, 9000) for due in part]
        await outbox.settle(later, owner="one", now=at(3))
    idle, idle_times = zip(*[await measured(4, free) for _ in range(5)], strict=True)
    assert set(idle) == {0}
    print(f"10,000 wait: {min(times):.1f} ms for 8, {min(idle_times):.1f} ms for none")  # noqa: T201
    assert max(min(times), min(idle_times)) < (10 if own else 500)
