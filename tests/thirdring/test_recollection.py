"""What is known of a caller is there in time, or the call goes on without it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import quantiles
from typing import TypeVar

import pytest

from tests.peers.postgresql import Postgresql
from tests.samples import START, SetClock, at, business, opened
from thirdring import recollection
from thirdring.calls import Leg
from thirdring.home import Home
from thirdring.recollection import LONGEST, Recollection
from thirdring.settings import Business, MemorySettings
from thirdring.store import Connection, Store, open_store
from thirdring.store.memory import CallerFact, note_facts
from thirdring.store.sqlite import SqliteStore

CLINIC, NUMBER = "riverside_clinic", "+12025550199"
LEG = opened().leg

T = TypeVar("T")


@pytest.fixture(params=["sqlite", "postgresql"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Return what opens an empty store of each kind."""
    environ: Mapping[str, str] = {}
    if request.param == "postgresql":
        server: Postgresql = request.getfixturevalue("postgresql")
        environ = {"THIRDRING_STORE": server.fresh()}
    return lambda: open_store(Home(tmp_path), environ)


async def known(opening: Callable[[], Store], *texts: str) -> None:
    facts = [CallerFact(CLINIC, NUMBER, text, "call-0", at(n)) for n, text in enumerate(texts)]
    async with opening() as store:
        await store.write(lambda connection: note_facts(connection, facts))


async def recalled(
    opening: Callable[[], Store], clinic: Business | None = None, leg: Leg = LEG
) -> tuple[list[str], str | None]:
    """Return what is known, and why not more."""
    recollected = Recollection(opening, clinic or business(), leg, SetClock(START))
    try:
        return await recollected.facts(), recollected.missed
    finally:
        await recollected.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time: only what is found matters."""
    monkeypatch.setattr(recollection, "LIMIT_SECONDS", 20.0)


@pytest.mark.usefixtures("patient")
async def test_what_is_known_is_there(opening: Callable[[], Store]) -> None:
    """The oldest first."""
    await known(opening, "Prefers mornings.", "Has a dog.")
    assert await recalled(opening) == (["Prefers mornings.", "Has a dog."], None)


@pytest.mark.usefixtures("patient")
async def test_what_is_too_old_is_not_known(opening: Callable[[], Store]) -> None:
    """Whether or not it has been swept."""
    await known(opening, "Prefers mornings.")
    clinic = business().model_copy(update={"memory": MemorySettings(retention_days=1)})
    clock = SetClock(at(2 * 86_400))
    recollected = Recollection(opening, clinic, LEG, clock)
    assert await recollected.facts() == []
    await recollected.close()


@pytest.mark.usefixtures("patient")
async def test_the_newest_facts_are_kept_when_it_is_too_much(
    opening: Callable[[], Store],
) -> None:
    """Whole ones only."""
    await known(opening, *(f"{number} " + "x" * 190 for number in range(10)))
    facts, _ = await recalled(opening)
    assert [fact.split()[0] for fact in facts] == [str(number) for number in range(3, 10)]
    assert sum(map(len, facts)) <= LONGEST


async def test_of_a_hidden_caller_nothing_is_looked_up(tmp_path: Path) -> None:
    """Nor where the business wants no memory: the store is not even opened."""

    def opening() -> Store:
        raise AssertionError

    hidden = LEG.model_copy(update={"caller": None})
    off = business().model_copy(update={"memory": MemorySettings(enabled=False)})
    assert await recalled(opening, leg=hidden) == ([], None)
    assert await recalled(opening, off) == ([], None)


async def test_a_store_that_is_down_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so."""
    (tmp_path / "store.db").write_text("no database")
    facts, missed = await recalled(lambda: SqliteStore(tmp_path / "store.db"))
    assert facts == []
    assert "cannot be used as the store" in (missed or "")
    assert "what is known of the caller is left out" in caplog.text


async def test_a_store_that_hangs_is_not_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The call goes on after 50 ms."""
    let_go = asyncio.Event()

    class Slow(SqliteStore):
        async def read(self, work: Callable[[Connection], T]) -> T:
            await let_go.wait()
            return await super().read(work)

    facts, missed = await recalled(lambda: Slow(tmp_path / "store.db"))
    assert (facts, missed) == ([], "the store did not answer within 50 ms")
    assert "what is known of the caller is left out" in caplog.text


@pytest.mark.usefixtures("patient")
async def test_a_caller_is_known_each_time(
    opening: Callable[[], Store], capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """200 calls, each with a connection of its own; how long it takes is printed."""
    facts = [f"Fact {number} of the caller." for number in range(20)]
    await known(opening, *facts)
    waits, found = [], []
    for _ in range(200):
        began = time.perf_counter()
        recollected = Recollection(opening, business(), LEG, SetClock(START))
        found.append(await recollected.facts())
        waits.append((time.perf_counter() - began) * 1000)
        await recollected.close()
    cuts = quantiles(waits, n=100)
    with capsys.disabled():
        name = request.node.callspec.id
        print(f"\ncaller memory, {name}: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms")  # noqa: T201
    assert found == [facts] * 200
