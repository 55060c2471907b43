from __future__ import annotations

import asyncio
import fcntl
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.peers.endpoint import serving
from tests.samples import START, business, opened, settings, spoken
from tests.thirdring.records.kept import keep, records, settle, talk, write
from tests.thirdring.store.test_notifications import DANA, LEE, NOTICE
from thirdring.courier import run
from thirdring.home import Home
from thirdring.journal import Journal
from thirdring.store.notifications import NotificationQueue, NotificationState, Sending
from thirdring.store.outbox import DeliveryState
from thirdring.store.sqlite import SqliteStore


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def status(home: Home, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = records(home, "status", "--json", *arguments)
    return done.exit_code, json.loads(done.stdout)


async def test_all_is_well_while_a_courier_delivers(home: Home) -> None:
    """Exit code 0; the courier's process, since when, what was delivered and what goes on."""
    patient = ("--max-wait", "9999w")  # the calls of tests are of another day
    async with serving() as endpoint:
        await keep(home, {"call-1": talk(), "call-2": talk()}, url=endpoint.url)
        courier = asyncio.create_task(run(home, settings(business(url=endpoint.url))))
        async with Journal.create(home.journals, opened("call-3")):
            await write(home, "call-4", talk())
            await endpoint.wait(3)
            code, found = await asyncio.to_thread(status, home, *patient)
            plain = await asyncio.to_thread(records, home, "status", *patient, columns=80)
        courier.cancel()
        await asyncio.wait([courier])
    assert (code, found["ok"], found["problems"]) == (0, True, [])
    assert (found["courier"]["running"], found["courier"]["pid"]) == (True, os.getpid())
    since = datetime.fromisoformat(found["courier"]["since"])
    assert timedelta(0) < datetime.now(UTC) - since < timedelta(hours=1)
    assert found["journals"]["going_on"] == 1
    assert sum(queue["count"] for queue in found["deliveries"]) == found["records"] == 3
    assert plain.exit_code == 0
    assert f"courier   runs, process {os.getpid()} since " in plain.stdout
    assert max(map(len, plain.stdout.splitlines())) <= 80


async def test_no_courier_is_a_problem(home: Home) -> None:
    """Exit code 1 for monitoring, and what to start."""
    await keep(home, {"call-1": talk()})
    code, found = status(home)
    assert (code, found["courier"]["running"]) == (1, False)
    assert found["problems"] == ["no courier runs here: start `python ring.py courier`"]


async def test_a_courier_that_says_nothing_is_a_problem(home: Home) -> None:
    """One that hangs has its lock, but has not touched it."""
    await keep(home, {"call-1": talk()})
    with (home.root / "courier.lock").open("r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.utime(lock.fileno(), (1e9, 1e9))
        code, found = status(home)
    assert (code, found["courier"]["running"], found["courier"]["pid"]) == (1, True, os.getpid())
    assert found["problems"] == [
        "the courier has not been well since 2001-09-09 01:46:40 UTC: see its log"
    ]


async def test_what_somebody_must_do_is_said(home: Home) -> None:
    """Dead letters, a parked endpoint and records that have waited too long, each with its name."""
    async with serving(410) as endpoint:
        await keep(home, {"call-1": talk()}, url=endpoint.url)
    await keep(home, {"call-2": talk()}, url=endpoint.url)
    _, found = status(home)
    assert [each["business"] for each in found["parked"]] == ["riverside_clinic"]
    assert any(
        line.startswith("riverside_clinic/webhook has answered 410 at ")
        for line in found["problems"]
    )


async def test_dead_letters_and_long_waits_are_problems(home: Home) -> None:
    """A record waits for as long as `--max-wait` says before anybody is called."""
    await keep(home, {"call-1": talk(), "call-2": talk()}, url="http://127.0.0.1:9/")
    _, found = status(home, "--max-wait", "1h")
    late = [line for line in found["problems"] if "record(s) wait, the oldest of a call" in line]
    assert len(late) == 1
    _, found = status(home, "--max-wait", "9999w")
    assert not any("record(s) wait" in line for line in found["problems"])
    await settle(home, DeliveryState.DEAD, "call-1")
    _, found = status(home, "--max-wait", "9999w")
    assert (
        "riverside_clinic/webhook: 1 dead letter(s), see `records dead`, then `records replay` or"
        " `records dismiss`" in found["problems"]
    )


async def test_journals_that_nobody_takes_are_a_problem(home: Home) -> None:
    """After a minute; a call that goes on is none."""
    await keep(home, {"call-1": talk()})
    async with Journal.create(home.journals, opened("call-2")) as journal:
        journal.append(spoken(0))
        await write(home, "call-3", [spoken(0)])
        waiting = home.journals / "call-3.jsonl"
        _, found = status(home)
        assert (found["journals"]["going_on"], found["journals"]["waiting"]) == (1, 1)
        assert not any("wait for the courier" in line for line in found["problems"])
        os.utime(waiting, (1e9, 1e9))
        _, found = status(home)
    assert "1 ended call(s) wait for the courier" in found["problems"]


async def test_notifications_of_staff_are_counted(home: Home) -> None:
    """Those that wait for too long are a problem, as are those that were given up."""
    async with SqliteStore(home.store) as store:
        queue = NotificationQueue(store)
        await queue.add(NOTICE)
        (due,) = await queue.claim(
            "test", START, lease=timedelta(hours=1), free=[DANA, LEE], limit=1
        )
        dead = Sending(due.id, NotificationState.DEAD, error="no answer")
        await queue.settle([dead], owner="test", now=datetime.now(UTC))
    code, found = status(home)
    assert [(each["state"], each["count"]) for each in found["notifications"]] == [
        ("dead", 1),
        ("pending", 1),
    ]
    assert code == 1
    assert any("1 notification(s) of staff were given up" in each for each in found["problems"])
    assert any("1 notification(s) of staff wait" in each for each in found["problems"])
    assert "notifications" in records(home, "status").stdout
