from __future__ import annotations

import asyncio
import logging
import shutil
from datetime import timedelta

import pytest
from aiohttp import web

from tests.peers.couriers import (
    COURIER,
    TALK,
    at_url,
    busy_store,
    child,
    record_in,
    running,
    state,
    write,
)
from tests.peers.endpoint import serving
from tests.samples import SetClock, at, business, ended, opened, settings, spoken
from thirdring.calls import EndReason
from thirdring.courier import run
from thirdring.errors import PhoneError, StoreError
from thirdring.home import Home
from thirdring.journal import Journal, file_name
from thirdring.record import record_id
from thirdring.store.outbox import DeliveryState, Outbox
from thirdring.store.sqlite import SqliteStore

JOB = """
import asyncio, signal, sys
from pathlib import Path
from tests.samples import opened, spoken
from thirdring.journal import Journal

async def main():
    async with Journal.create(Path(sys.argv[1]), opened()) as journal:
        for number in range(3):
            journal.append(spoken(number))
        await journal.flush()
        print("spoken", flush=True)
        signal.pause()

asyncio.run(main())
"""


async def test_an_ended_call_is_delivered(home: Home) -> None:
    """Its business gets one signed record, and the journal goes to the archive."""
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, *TALK, ended(9))
        (arrival,) = await endpoint.wait(1)
    record = record_in(arrival)
    assert arrival.headers["webhook-id"] == str(record_id("call-1")) == str(record.id)
    assert record.ending.reason is EndReason.CALLER_HUNG_UP
    assert [turn.id for turn in record.turns] == ["t0", "t1", "t2"]
    assert [path.name for path in home.archive.iterdir()] == ["call-1.jsonl"]
    assert list(home.journals.iterdir()) == []


async def test_a_killed_job_leaves_its_record(home: Home) -> None:
    """A job that dies by SIGKILL costs no turn: one record, interrupted, is delivered."""
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        async with child(JOB, str(home.journals)) as job:
            assert job.stdout is not None
            assert await job.stdout.readline() == b"spoken\n"
            assert endpoint.arrivals == []
        (arrival,) = await endpoint.wait(1)
    record = record_in(arrival)
    assert record.ending.reason is EndReason.INTERRUPTED
    assert [turn.id for turn in record.turns] == ["t0", "t1", "t2"]
    assert record.ended_at == at(3)


async def test_a_call_that_goes_on_is_left_alone(home: Home) -> None:
    """While its job lives, a journal is nobody else's."""
    async with serving() as endpoint:
        async with Journal.create(home.journals, opened()) as journal:
            await run(home, at_url(endpoint.url), once=True)
            journal.append(ended(5))
            await journal.flush()
            await run(home, at_url(endpoint.url), once=True)
            assert (journal.path.exists(), endpoint.arrivals) == (True, [])
        await run(home, at_url(endpoint.url), once=True)
        assert (journal.path.exists(), len(endpoint.arrivals)) == (False, 1)


async def test_a_home_has_one_courier(home: Home) -> None:
    """The second one says who is first, and does nothing."""
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, ended(1))
        await endpoint.wait(1)
        with pytest.raises(PhoneError, match=r"another courier \(process \d+\) works here"):
            await run(home, at_url(endpoint.url))


async def test_a_failed_delivery_is_made_up_for_after_a_restart(home: Home) -> None:
    """The next courier sends the same body under the same id when its time has come."""
    clock = SetClock()
    async with serving(500) as endpoint:
        await write(home, *TALK, ended(9))
        await run(home, at_url(endpoint.url), once=True, clock=clock)
        clock.moment += timedelta(seconds=3)
        await run(home, at_url(endpoint.url), once=True, clock=clock)
        assert len(endpoint.arrivals) == 1
        clock.moment += timedelta(seconds=4)
        await run(home, at_url(endpoint.url), once=True, clock=clock)
        first, second = endpoint.arrivals
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert await state(home) is DeliveryState.DELIVERED


async def test_a_dead_receiver_is_given_up_in_the_end(home: Home) -> None:
    """Ten attempts, each a day after the last one, then no more; the record stays."""
    clock = SetClock()
    async with serving(*[503] * 20) as endpoint:
        await write(home, ended(9))
        for _ in range(12):
            await run(home, at_url(endpoint.url), once=True, clock=clock)
            clock.moment += timedelta(hours=30)
        assert len(endpoint.arrivals) == 10
    assert await state(home) is DeliveryState.DEAD


async def test_gone_means_no_more(home: Home) -> None:
    """After a 410 nothing is sent again."""
    clock = SetClock()
    async with serving(410) as endpoint:
        await write(home, ended(9))
        await run(home, at_url(endpoint.url), once=True, clock=clock)
        clock.moment += timedelta(days=1)
        await run(home, at_url(endpoint.url), once=True, clock=clock)
        assert len(endpoint.arrivals) == 1
    assert await state(home) is DeliveryState.PARKED


@pytest.mark.parametrize("slug", [None, "riverside_clinic"])
async def test_a_business_without_webhook_keeps_its_records(home: Home, slug: str | None) -> None:
    """The record is stored all the same, as is that of a call to no business."""
    async with Journal.create(home.journals, opened(business=slug)) as journal:
        journal.append(ended(1))
    await run(home, at_url(None), once=True)
    assert await state(home) is None
    assert not journal.path.exists()


async def test_a_business_that_the_courier_does_not_know_is_spoken_of(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """Its record waits for somebody to replay it, who must hear of that."""
    await write(home, ended(1), slug="garage")
    await run(home, at_url("http://127.0.0.1:9/"), once=True)
    assert await state(home) is None
    (warning,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert "call-1 (garage)" in warning.getMessage()
    assert "`records replay` sends it" in warning.getMessage()


async def test_a_webhook_that_was_taken_away_gets_nothing(home: Home) -> None:
    """What was to be delivered waits until there is somewhere to deliver it to."""
    clock = SetClock()
    async with serving(500) as endpoint:
        await write(home, ended(9))
        await run(home, at_url(endpoint.url), once=True, clock=clock)
        clock.moment += timedelta(days=1)
        await run(home, at_url(None), once=True, clock=clock)
        assert len(endpoint.arrivals) == 1
        assert await state(home) is DeliveryState.PENDING
        await run(home, at_url(endpoint.url), once=True, clock=clock)
    assert await state(home) is DeliveryState.DELIVERED


async def test_a_journal_that_comes_back_is_only_archived(home: Home) -> None:
    """A courier that died before it archived leaves work that is done already."""
    async with serving() as endpoint:
        for _ in range(2):
            await write(home, *TALK, ended(9))
            await run(home, at_url(endpoint.url), once=True)
        assert len(endpoint.arrivals) == 1
    assert {path.name for path in home.archive.iterdir()} == {"call-1.jsonl", "call-1.2.jsonl"}


async def test_a_call_never_has_two_records(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """Another story of the same call is archived and reported, not delivered."""
    async with serving() as endpoint:
        await write(home, ended(9))
        await run(home, at_url(endpoint.url), once=True)
        await write(home, *TALK, ended(9))
        await run(home, at_url(endpoint.url), once=True)
        assert len(endpoint.arrivals) == 1
    assert "tells another story" in caplog.text
    assert len(list(home.archive.iterdir())) == 2


async def test_a_damaged_journal_still_gives_a_record(home: Home) -> None:
    """What can be read is delivered; the file is marked."""
    lines = [opened().model_dump_json(), "garbage", spoken(1).model_dump_json(), '{"kind":"tu']
    home.journals.mkdir(parents=True)
    (home.journals / file_name("call-1")).write_text("\n".join(lines))
    async with serving() as endpoint:
        await run(home, at_url(endpoint.url), once=True)
        (arrival,) = endpoint.arrivals
    assert [turn.id for turn in record_in(arrival).turns] == ["t1"]
    archived = {path.name: path for path in home.archive.iterdir()}
    assert set(archived) == {"call-1.jsonl.damaged", "call-1.jsonl.damaged.quarantine"}
    assert archived["call-1.jsonl.damaged.quarantine"].read_text() == 'garbage\n{"kind":"tu\n'


@pytest.mark.parametrize("data", [b"", b"\x00\xff\n", b'{"kind": "ended"}\n'])
async def test_a_journal_of_no_call_is_set_aside(home: Home, data: bytes) -> None:
    """It stops neither the courier nor the calls behind it."""
    home.journals.mkdir(parents=True)
    (home.journals / "aaa.jsonl").write_bytes(data)
    await write(home, ended(1))
    async with serving() as endpoint:
        await run(home, at_url(endpoint.url), once=True)
        assert len(endpoint.arrivals) == 1
    names = {path.name for path in home.archive.iterdir()}
    assert names - {"aaa.jsonl.damaged.quarantine"} == {"aaa.jsonl.damaged", "call-1.jsonl"}


async def test_a_journal_that_makes_no_record_keeps_no_other_waiting(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    """An old line, without a CRC, may say anything, such as a time that is none in UTC."""
    line = opened("call-0").model_dump_json().replace(f"{at(0):%Y-%m-%d}", "9999-12-31")
    home.journals.mkdir(parents=True)
    strange = home.journals / file_name("call-0")
    strange.write_text(line.replace('Z"', '-12:00"') + "\n")
    await write(home, ended(1))
    async with serving() as endpoint:
        await run(home, at_url(endpoint.url), once=True)
        assert [record_in(arrival).call_id for arrival in endpoint.arrivals] == ["call-1"]
    assert list(home.journals.iterdir()) == [strange]
    assert "call-0.jsonl: no record yet: OverflowError: date value out of range" in caplog.text


async def test_a_slow_receiver_delays_only_its_own(home: Home) -> None:
    """While one business's receiver is silent, another's records arrive."""
    release = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await release.wait()
        return web.Response()

    async with serving(*[slow] * 20) as stuck, serving() as quick:
        businesses = (business(url=stuck.url), business(url=quick.url, slug="lakeside"))
        for number in range(20):
            await write(home, ended(1), call_id=f"stuck-{number}")
        async with running(home, settings(*businesses)):
            await stuck.wait(1)
            async with Journal.create(home.journals, opened(business="lakeside")) as journal:
                journal.append(ended(1))
            await quick.wait(1)
            assert len(stuck.arrivals) == 1
            release.set()
            await stuck.wait(20)


async def test_a_killed_courier_loses_nothing(home: Home) -> None:
    """Its successor delivers the rest; a record that comes twice is the same one."""
    calls = [f"call-{number}" for number in range(30)]
    for call_id in calls:
        await write(home, *TALK, ended(9), call_id=call_id)
    async with serving() as endpoint:
        async with child(COURIER, str(home.root), endpoint.url, "60"):
            await endpoint.wait(5)
        async with asyncio.timeout(20):
            while await asyncio.to_thread(_pending, home):
                await run(home, at_url(endpoint.url), once=True)
        bodies: dict[str, set[bytes]] = {}
        for arrival in endpoint.arrivals:
            bodies.setdefault(arrival.headers["webhook-id"], set()).add(arrival.body)
    assert set(bodies) == {str(record_id(call_id)) for call_id in calls}
    assert {len(different) for different in bodies.values()} == {1}


def _pending(home: Home) -> bool:
    async def count() -> int:
        async with SqliteStore(home.store) as store:
            return (await Outbox(store).counts())[DeliveryState.PENDING]

    return any(home.journals.iterdir()) or asyncio.run(count()) > 0


async def test_what_cannot_be_read_waits(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """A journal that the disk does not give is left where it is; the others are delivered."""
    stuck = home.journals / "stuck.jsonl"
    stuck.mkdir(parents=True)
    await write(home, ended(1))
    async with serving() as endpoint:
        await run(home, at_url(endpoint.url), once=True)
        assert len(endpoint.arrivals) == 1
    assert list(home.journals.iterdir()) == [stuck]
    assert "stuck.jsonl: no record yet: cannot be looked at" in caplog.text


async def test_a_store_that_cannot_be_written_costs_no_record(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal stays until its record can be stored."""
    monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
    await write(home, ended(1))
    async with serving() as endpoint, SqliteStore(home.store) as store:
        await store.connect()
        with busy_store(home), pytest.raises(StoreError, match="has kept the store locked"):
            await run(home, at_url(endpoint.url), once=True)
        assert len(list(home.journals.iterdir())) == 1
        await run(home, at_url(endpoint.url), once=True)
        assert len(endpoint.arrivals) == 1


async def test_a_folder_that_comes_back_is_looked_into(home: Home) -> None:
    """A courier outlives the loss of its folder of journals."""
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, ended(1))
        await endpoint.wait(1)
        await asyncio.to_thread(shutil.rmtree, home.journals)
        await asyncio.wait_for(_logged("ALARM: journals"), 20)
        await write(home, ended(1), call_id="call-2")
        await endpoint.wait(2)


async def _logged(words: str) -> None:
    """Wait until the courier has logged something."""
    said = asyncio.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if words in record.getMessage():
                said.set()

    listener, logger = Listener(), logging.getLogger("thirdring.courier")
    logger.addHandler(listener)
    try:
        await said.wait()
    finally:
        logger.removeHandler(listener)
