"""Staff are told by a real HTTP service, once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.peers.couriers import busy_store, child, running, until, write
from tests.peers.endpoint import Arrival, Endpoint, serving
from tests.peers.postgresql import Postgresql
from tests.peers.staff import DANA, staffed
from tests.samples import START, SetClock, at, business, ended, settings
from thirdring.calls import Summary
from thirdring.courier import run
from thirdring.errors import StoreError
from thirdring.home import Home
from thirdring.journal import OutcomeNoted
from thirdring.settings import Settings
from thirdring.sinks.schedule import SCHEDULE
from thirdring.store import Store, open_store
from thirdring.store.notifications import (
    Notice,
    Notification,
    NotificationQueue,
    NotificationState,
)

CANARY = "tok3n-of-dana"
SUMMARY = Summary(title="Job: a tap drips", body="Ann Smith, 12 Oak Street.")
NOTICE = Notice(
    key="notice-1",
    business="riverside_clinic",
    title="A pipe has burst",
    body="At 12 Oak Street.",
    urgent=True,
    call_id="call-1",
    created_at=START,
    targets=(DANA,),
)
COURIER = """
import asyncio, logging, sys
from datetime import timedelta
from pathlib import Path
from tests.peers.staff import staffed
from tests.samples import business, settings
from thirdring.courier import notifying, run
from thirdring.home import Home

logging.basicConfig(level="INFO")
notifying.LEASE = timedelta(seconds=float(sys.argv[3]))
asyncio.run(run(Home(Path(sys.argv[1])), settings(staffed(business(), dana=sys.argv[2]))))
"""
"""Arguments: the home, where Dana is told, the seconds of a lease."""


def dana_at(endpoint: Endpoint) -> str:
    """Return the Apprise URL of an endpoint; its path is a secret."""
    place = endpoint.url.removeprefix("http://").removesuffix("/hook")
    return f"json://{place}/{CANARY}"


def staff_at(
    endpoint: Endpoint, *, lee: Endpoint | None = None, hook: str | None = None
) -> Settings:
    clinic = staffed(
        business(url=hook), dana=dana_at(endpoint), lee=dana_at(lee) if lee is not None else ""
    )
    return settings(clinic)


async def end_call(
    home: Home,
    call_id: str = "call-1",
    *,
    summary: Summary = SUMMARY,
) -> None:
    """Write the journal of a call that has left something behind."""
    noted = OutcomeNoted(at=at(5), outcome={"problem": "tap"}, summary=summary)
    await write(home, noted, ended(9), call_id=call_id)


def titles(arrivals: list[Arrival]) -> list[str]:
    return [json.loads(arrival.body)["title"] for arrival in arrivals]


async def arrivals(endpoint: Endpoint, count: int) -> list[Arrival]:
    """Return what has come once it is so much; a courier of its own loads Apprise first."""
    async with asyncio.timeout(80):
        while len(endpoint.arrivals) < count:
            with suppress(TimeoutError):
                await endpoint.wait(count)
    return endpoint.arrivals


@asynccontextmanager
async def store_of(home: Home) -> AsyncIterator[Store]:
    async with open_store(home, os.environ) as store:
        yield store


async def of_call(home: Home, call_id: str = "call-1") -> list[Notification]:
    async with store_of(home) as store:
        return await NotificationQueue(store).of_call(call_id)


async def test_staff_are_told_what_a_call_came_to(home: Home) -> None:
    """In words, with who called and when, once."""
    async with serving() as endpoint:
        await end_call(home)
        for _ in range(2):
            await run(home, staff_at(endpoint), once=True)
        (arrival,) = endpoint.arrivals
    told = json.loads(arrival.body)
    assert (arrival.path, told["title"], told["type"]) == (f"/{CANARY}", SUMMARY.title, "info")
    assert told["message"] == (
        "Ann Smith, 12 Oak Street.\nCall of Friday, November 20, 2026, 10:00 AM, from +12025550199."
    )
    (sent,) = await of_call(home)
    assert (sent.state, sent.attempts) == (NotificationState.SENT, 1)


async def test_nobody_is_told_of_nothing(home: Home) -> None:
    """A call without an outcome leaves its record only."""
    async with serving() as endpoint:
        await write(home, ended(9))
        await run(home, staff_at(endpoint), once=True)
        assert endpoint.arrivals == []


async def test_what_is_urgent_is_said_to_be(home: Home) -> None:
    """And goes to those, too, who want to hear of nothing else."""
    async with serving() as dana, serving() as lee:
        await end_call(home, summary=SUMMARY.model_copy(update={"urgent": True}))
        await run(home, staff_at(dana, lee=lee), once=True)
        for endpoint in (dana, lee):
            assert json.loads(endpoint.arrivals[0].body)["type"] == "warning"


async def test_after_an_error_it_is_tried_again(home: Home) -> None:
    """At the time of the schedule, not before."""
    clock = SetClock(START)
    async with serving(500) as endpoint:
        await end_call(home)
        await run(home, staff_at(endpoint), once=True, clock=clock)
        await run(home, staff_at(endpoint), once=True, clock=clock)
        assert len(endpoint.arrivals) == 1
        clock.moment += timedelta(seconds=10)
        await run(home, staff_at(endpoint), once=True, clock=clock)
        assert titles(endpoint.arrivals) == [SUMMARY.title] * 2
    (sent,) = await of_call(home)
    assert (sent.state, sent.attempts) == (NotificationState.SENT, 2)


async def test_after_three_days_it_is_given_up(home: Home) -> None:
    """Every attempt of the schedule, and none after it."""
    clock = SetClock(START)
    async with serving(*[500] * 20) as endpoint:
        await end_call(home)
        for _ in range(len(SCHEDULE) + 2):
            await run(home, staff_at(endpoint), once=True, clock=clock)
            clock.moment += timedelta(days=2)
        assert len(endpoint.arrivals) == len(SCHEDULE)
    (dead,) = await of_call(home)
    assert dead.state is NotificationState.DEAD
    assert "500" in (dead.error or "")


async def test_a_service_that_is_down_for_three_days_costs_nothing(home: Home) -> None:
    """As with records: the last attempt comes after that, however its times are spread."""
    clock = SetClock(START)
    async with serving(*[500] * 20) as endpoint:
        # The id of its notification begins with a zero: the first wait is a fifth too short.
        await end_call(home, "call-10")
        while clock.moment < START + timedelta(hours=72):
            await run(home, staff_at(endpoint), once=True, clock=clock)
            (waiting,) = await of_call(home, "call-10")
            assert waiting.due_at is not None
            clock.moment = waiting.due_at


async def test_killed_in_between_its_successor_tells_them(home: Home) -> None:
    """Whether anybody was told is not known: they are told, perhaps twice, never not at all."""

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(hang) as endpoint:
        await end_call(home)
        async with child(COURIER, str(home.root), dana_at(endpoint), "60"):
            await arrivals(endpoint, 1)
        async with running(home, staff_at(endpoint)):
            assert titles(await arrivals(endpoint, 2)) == [SUMMARY.title] * 2


async def test_a_run_of_one_round_says_that_the_store_has_failed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs it hears of a store that is lost while staff are told, and does not wait."""
    await end_call(home)
    with ExitStack() as lock:

        async def answer(_: web.Request) -> web.Response:
            monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
            lock.enter_context(busy_store(home))
            return web.Response()

        async with serving(answer) as endpoint, asyncio.timeout(30):
            with pytest.raises(StoreError, match="has kept the store locked"):
                await run(home, staff_at(endpoint), once=True)
    (kept,) = await of_call(home)
    assert (kept.state, kept.attempts) == (NotificationState.PENDING, 0)


async def test_a_run_of_one_round_does_not_wait_for_ever(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a service that begins to answer and never comes to an end, the next run hears again."""
    monkeypatch.setattr("thirdring.courier.notifying._HANGING_SECONDS", 0.1)
    monkeypatch.setattr("thirdring.courier.notifying.GRACE_SECONDS", 0.1)
    over = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while not over.is_set():
            await answer.write(b" ")
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await over.wait()
        return answer

    async with serving(drip) as endpoint:
        await end_call(home)
        try:
            async with asyncio.timeout(20):
                await run(home, staff_at(endpoint), once=True)
        finally:
            over.set()
        assert "address 1 of dana of riverside_clinic does not answer" in caplog.text
        (waiting,) = await of_call(home)
        assert (waiting.state, waiting.attempts) == (NotificationState.PENDING, 0)
        await run(home, staff_at(endpoint), once=True)
    (sent,) = await of_call(home)
    assert sent.state is NotificationState.SENT


async def test_what_was_told_is_noted_when_the_store_is_back(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A courier that lives tells nobody twice."""
    with ExitStack() as lock:

        async def answer(_: web.Request) -> web.Response:
            monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.05)
            lock.enter_context(busy_store(home))
            return web.Response()

        async with serving(answer) as endpoint, running(home, staff_at(endpoint)):
            await end_call(home)
            await until(lambda: "ALARM: store" in caplog.text)
            lock.close()
            await until(lambda: "store: works again" in caplog.text)
    (sent,) = await of_call(home)
    assert (sent.state, sent.attempts) == (NotificationState.SENT, 1)
    assert len(endpoint.arrivals) == 1


async def test_two_couriers_tell_it_once(tmp_path: Path, postgresql: Postgresql) -> None:
    """Whoever takes a notification has it alone."""
    env = {**os.environ, "THIRDRING_STORE": postgresql.fresh()}
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    async with serving() as endpoint:
        place = dana_at(endpoint)
        async with (
            child(COURIER, str(homes[0].root), place, "60", env=env),
            child(COURIER, str(homes[1].root), place, "60", env=env),
        ):
            for number in range(20):
                summary = SUMMARY.model_copy(update={"title": f"Job {number}"})
                await end_call(homes[number % 2], f"call-{number}", summary=summary)
            await arrivals(endpoint, 20)
        came = Counter(titles(endpoint.arrivals))
    assert (len(came), max(came.values())) == (20, 1)


async def test_an_address_that_hangs_delays_nobody(home: Home) -> None:
    """Neither another address nor a record on its way."""
    let_go = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await let_go.wait()
        return web.Response()

    async with serving(hang) as slow, serving() as quick, serving() as hook:
        urgent = SUMMARY.model_copy(update={"urgent": True})
        async with running(home, staff_at(slow, lee=quick, hook=hook.url)):
            await end_call(home, "call-1", summary=urgent)
            await slow.wait(1)
            await end_call(home, "call-2", summary=urgent)
            await quick.wait(2)
            await hook.wait(2)
            assert len(slow.arrivals) == 1
            let_go.set()
            await slow.wait(2)


async def test_an_urgent_notice_does_not_wait_for_the_end_of_the_call(home: Home) -> None:
    """What a tool has noted while the caller talks is sent at the next look, a second at most."""
    async with serving() as endpoint, store_of(home) as store:
        current = staff_at(endpoint)
        async with running(home, current):
            await until((home.root / "courier.sock").exists)
            await NotificationQueue(store).add(NOTICE)
            assert titles(await endpoint.wait(1)) == ["A pipe has burst"]


@pytest.fixture
def whole_log() -> Iterator[io.StringIO]:
    """Return all that a log shows which shows everything.

    Not `caplog`: it also listens to loggers that have been told to keep to themselves.
    """
    shown, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(shown), root.level
    handler.addFilter(lambda record: record.name != "aiohttp.access")  # of the service itself
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield shown
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.parametrize("status", [404, 500])
async def test_no_part_of_an_address_is_shown(
    home: Home, whole_log: io.StringIO, status: int
) -> None:
    """Neither in any log, however much it says, nor with the reason in the store."""
    async with serving(status) as endpoint:
        await end_call(home)
        await run(home, staff_at(endpoint), once=True)
        assert len(endpoint.arrivals) == 1
    (failed,) = await of_call(home)
    assert failed.error is not None
    assert "not told" in whole_log.getvalue()
    assert CANARY not in f"{whole_log.getvalue()} {failed.error}"


@pytest.mark.parametrize("url", ["nosuch://there", "gnome://["])
async def test_a_wrong_address_keeps_no_record_back(
    home: Home, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    """The courier warns of it and works on, also where Apprise itself fails to read it."""
    async with serving() as hook:
        clinic = staffed(business(url=hook.url), dana=url)
        async with running(home, settings(clinic)):
            await until(lambda: "address 1 of dana is none that Apprise understands" in caplog.text)
            await end_call(home)
            await hook.wait(1)


@pytest.mark.parametrize(
    "url",
    [
        f"nosuch://{CANARY}@127.0.0.1",
        f"json://127.0.0.1:9/{CANARY}",
        f"json://user:{CANARY}@127.0.0.1:9/?+X-Key={CANARY}",
        f"tgram://{CANARY}",
        f"slack://{CANARY}/B/C",
        CANARY,
    ],
)
async def test_a_wrong_address_is_not_shown(home: Home, whole_log: io.StringIO, url: str) -> None:
    """Apprise itself would say it."""
    await end_call(home)
    await run(home, settings(staffed(business(), dana=url)), once=True)
    (failed,) = await of_call(home)
    assert failed.error is not None
    assert "not told" in whole_log.getvalue()
    assert CANARY not in f"{whole_log.getvalue()} {failed.error}"
