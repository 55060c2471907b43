from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.peers.endpoint import serving
from tests.samples import at, business, opened, plain, settings, spoken
from tests.thirdring.records.kept import keep, records, talk, write
from thirdring.courier import run
from thirdring.home import Home
from thirdring.journal import Journal, line
from thirdring.record import build
from thirdring.records.comparing import difference

CALLS = {f"call-{number}": talk(*"abc") for number in range(3)}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def verify(home: Home, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = records(home, "verify", "--json", *arguments)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout)


def stored(home: Home) -> dict[str, bytes]:
    with closing(sqlite3.connect(home.store)) as database:
        return dict(database.execute("SELECT call_id, body FROM records"))


async def test_every_journal_gives_its_record_again(home: Home) -> None:
    """Byte for byte; a call that goes on is read and left alone."""
    await keep(home, CALLS)
    async with Journal.create(home.journals, opened("call-9")):
        code, found = verify(home)
    assert (code, found["ok"], found["archived"], found["same"]) == (0, True, 3, 3)
    assert (found["going_on"], found["orphans"], found["findings"]) == (1, 0, [])
    said = records(home, "verify").stdout
    assert "3 give the stored record, byte for byte\n" in said
    assert said.endswith("no differences\n")


async def test_a_lost_store_is_made_again_from_the_archive(home: Home) -> None:
    """Without --rebuild every record is missing; with it, each is there again, byte for byte, and
    nothing is sent by itself."""
    async with serving() as endpoint:
        await keep(home, CALLS, url=endpoint.url)
        before = stored(home)
        for path in home.root.glob("store.db*"):
            path.unlink()
        await keep(home, {}, url=endpoint.url)
        code, found = verify(home)
        assert (code, found["counts"]["missing"], found["same"]) == (1, 3, 0)
        code, found = verify(home, "--rebuild")
        assert (code, found["rebuilt"], found["findings"]) == (0, 3, [])
        await keep(home, {}, url=endpoint.url)
    assert stored(home) == before
    assert len(endpoint.arrivals) == len(CALLS)
    assert verify(home)[1]["same"] == 3
    assert verify(home, "--rebuild")[1]["rebuilt"] == 0


async def test_a_store_that_was_never_there_can_be_made(home: Home) -> None:
    """--rebuild needs the archive only."""
    await keep(home, CALLS)
    for path in home.root.glob("store.db*"):
        path.unlink()
    code, found = verify(home, "--rebuild")
    assert (code, found["rebuilt"]) == (0, 3)


async def test_a_record_that_was_changed_is_found(home: Home) -> None:
    """With the fields that differ, or that it is no record at all."""
    await keep(home, CALLS)
    with closing(sqlite3.connect(home.store)) as database, database:
        one = stored(home)["call-1"].replace(b'"text":"b"', b'"text":"x"')
        database.execute("UPDATE records SET body = ? WHERE call_id = 'call-1'", (one,))
        database.execute("UPDATE records SET body = ? WHERE call_id = 'call-2'", (b"{",))
    code, found = verify(home)
    assert (code, found["same"]) == (1, 1)
    assert [(each["call_id"], each["detail"]) for each in found["findings"]] == [
        ("call-1", "other turns"),
        ("call-2", "the stored record is damaged"),
    ]
    assert "call-1.jsonl: other turns" in records(home, "verify").stdout


async def test_every_bit_that_turns_in_the_archive_is_found(home: Home) -> None:
    """A journal that does not give its record any more, and one that is no journal."""
    await keep(home, CALLS)
    chance, path = random.Random(5), home.archive / "call-1.jsonl"
    whole, unseen, tries = path.read_bytes(), 0, 40
    for _ in range(tries):
        data = bytearray(whole)
        data[chance.randrange(len(data) - 1)] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        code, found = verify(home)
        unseen += code == 0
        assert found["archived"] == 3
    assert (unseen, tries) == (0, 40)


async def test_what_the_courier_knew_is_no_failure(home: Home) -> None:
    """Lines that were damaged when the record was made, and the torn end of a killed job."""
    home.journals.mkdir(parents=True)
    text = b"".join(line(entry) for entry in (opened("call-1"), spoken(0), spoken(1)))
    (home.journals / "call-1.jsonl").write_bytes(text + line(spoken(2))[:40])
    (home.journals / "call-2.jsonl").write_bytes(
        line(opened("call-2")) + b"rubbish\n" + line(spoken(0))
    )
    (home.journals / "call-3.jsonl").write_bytes(b"rubbish\n")
    await keep(home, {})
    code, found = verify(home)
    assert (code, found["same"], found["archived"]) == (0, 2, 3)
    assert found["counts"] == {
        "missing": 0, "different": 0, "unreadable": 1, "damaged": 2, "second": 0,
    }  # fmt: skip
    assert all(each["known"] for each in found["findings"])


async def test_a_second_journal_of_a_call_is_known_as_such(home: Home) -> None:
    """The first one gave the record; the other one tells another story and is no failure."""
    await keep(home, {"call-1": talk("first")})
    await keep(home, {"call-1": talk("second")})
    code, found = verify(home)
    assert (code, found["archived"], found["same"], found["counts"]["second"]) == (0, 2, 1, 1)


async def test_records_without_a_journal_are_counted(home: Home) -> None:
    """Whoever deletes old journals, as the page on records says, breaks nothing."""
    await keep(home, CALLS)
    (home.archive / "call-0.jsonl").unlink()
    code, found = verify(home)
    assert (code, found["orphans"], found["same"]) == (0, 1, 2)


async def test_it_may_run_beside_a_courier(home: Home) -> None:
    """Journals that are moved meanwhile are neither missing nor different: 0 in 20 runs."""
    courier = asyncio.create_task(run(home, settings(business())))
    findings, runs = 0, 20
    for number in range(runs):
        await asyncio.gather(*(write(home, f"call-{number}-{n}", talk()) for n in range(5)))
        done = await asyncio.to_thread(verify, home, "--rebuild")
        findings += len(done[1]["findings"])
    courier.cancel()
    await asyncio.wait([courier])
    assert (findings, runs) == (0, 20)


def test_a_record_of_version_1_is_compared_by_what_it_says() -> None:
    """It has no offsets and nobody who ended it; what else it says must be the same."""
    entries = [plain(entry) for entry in (opened(), *talk("a"))]
    record = build(entries)
    old = record.model_copy(
        update={"version": 1, "ending": record.ending.model_copy(update={"by": None})}
    )
    assert difference(record, old.model_dump_json().encode()) is None
    other = old.model_copy(update={"ended_at": at(99)})
    assert difference(record, other.model_dump_json().encode()) == "other ended_at"
