"""What follows from a record besides its delivery."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from pydantic import JsonValue

from tests.peers.couriers import running, until, write
from tests.peers.staff import DANA, LEE, staffed
from tests.samples import START, SetClock, at, business, ended, opened, settings
from thirdring.calls import Summary
from thirdring.courier import run
from thirdring.courier.aftermath import fact_of, notice_of, report_callback
from thirdring.courier.sweeping import sweep
from thirdring.home import Home
from thirdring.journal import Answered, Entry, OutcomeNoted
from thirdring.record import Record, build
from thirdring.settings import MemorySettings
from thirdring.store.effects import once
from thirdring.store.memory import CallerFact, CallerMemory, note_facts
from thirdring.store.sqlite import SqliteStore

NUMBER = "+12025550199"
SUMMARY = Summary(title="Job: a tap drips", body="Ann Smith.")


def record(
    summary: Summary | None = SUMMARY,
    *,
    value: dict[str, JsonValue] | None = None,
    answered: bool = True,
    hidden: bool = False,
) -> Record:
    first = opened()
    if hidden:
        first = first.model_copy(update={"leg": first.leg.model_copy(update={"caller": None})})
    noted = OutcomeNoted(at=at(5), outcome=value or {}, summary=summary)
    entries: list[Entry] = [first, noted, ended(9)]
    if answered:
        entries.insert(1, Answered(at=at(1)))
    return build(entries)


def text_of(fact: CallerFact | None) -> str | None:
    return None if fact is None else fact.fact


def test_the_next_call_may_begin_with_what_this_one_came_to() -> None:
    """The day is that of the business."""
    fact = fact_of(record(), business(), START)
    assert fact == CallerFact(
        business="riverside_clinic",
        number=NUMBER,
        fact="Called on Friday, November 20, 2026: Job: a tap drips",
        call_id="call-1",
        noted_at=START,
        of_call=True,
    )


def test_a_call_that_came_to_nothing_is_remembered_by_its_day() -> None:
    """There is nothing more to say of it."""
    fact = fact_of(record(None), business(), START)
    assert text_of(fact) == "Called on Friday, November 20, 2026"


def test_numbers_of_cards_are_not_remembered() -> None:
    """Whatever a workflow puts into its summary."""
    summary = Summary(title="Pays with 4111 1111 1111 1111", body="")
    fact = fact_of(record(summary), business(), START)
    assert text_of(fact) == "Called on Friday, November 20, 2026"


def test_some_calls_are_not_remembered() -> None:
    """Those of hidden callers, those that nobody answered, old ones, and where nobody wants it."""
    clinic = business()
    off = clinic.model_copy(update={"memory": MemorySettings(enabled=False)})
    assert fact_of(record(hidden=True), clinic, START) is None
    assert fact_of(record(answered=False), clinic, START) is None
    assert fact_of(record(), clinic, START + timedelta(days=400)) is None
    assert fact_of(record(), off, START) is None


def test_urgent_matters_go_to_everybody() -> None:
    """Others only to those who want them."""
    clinic = staffed(business())
    usual = notice_of(record(), clinic)
    urgent = notice_of(record(SUMMARY.model_copy(update={"urgent": True})), clinic)
    assert (usual and usual.targets, urgent and urgent.targets) == ((DANA,), (DANA, LEE))


def test_a_business_without_staff_is_told_nothing() -> None:
    """Its record says it all."""
    assert notice_of(record(), business()) is None


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ({"callback": {"when": "any time"}}, "caller +1202…; callback wanted: yes"),
        ({"callback": None, "callback_asked": True}, "caller +1202…; callback wanted: yes"),
        ({"callback": None, "callback_asked": False}, "caller +1202…; callback wanted: no"),
        ({"callback": None}, "caller +1202…; callback wanted: no"),
    ],
)
def test_whether_a_call_back_is_wanted_is_logged(
    caplog: pytest.LogCaptureFixture, value: dict[str, JsonValue], line: str
) -> None:
    """With the first digits of the number, never with all."""
    caplog.set_level(logging.INFO)
    report_callback(record(value=value))
    assert line in caplog.text
    assert NUMBER not in caplog.text


def test_a_workflow_that_does_not_ask_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No is an answer to a question."""
    caplog.set_level(logging.INFO)
    report_callback(record(value={"problem": "tap"}))
    assert caplog.text == ""


async def known(home: Home) -> list[str]:
    async with SqliteStore(home.store) as store:
        memory = CallerMemory(store, "riverside_clinic")
        return [each.fact for each in await memory.recall(NUMBER, since=at(-1))]


async def test_a_record_and_what_is_remembered_come_together(home: Home) -> None:
    """Once, however often the courier looks."""
    await write(home, Answered(at=at(1)), ended(9))
    for _ in range(2):
        await run(home, settings(business()), once=True, clock=SetClock(at(60)))
    assert await known(home) == ["Called on Friday, November 20, 2026"]


async def test_of_who_has_opted_out_no_call_is_remembered(home: Home) -> None:
    """Also one that was under way."""
    async with SqliteStore(home.store) as store:
        memory = CallerMemory(store, "riverside_clinic")
        await memory.forget(NUMBER, call_id="call-1", now=START)
    await write(home, Answered(at=at(1)), ended(9))
    await run(home, settings(business()), once=True, clock=SetClock(at(60)))
    assert await known(home) == []


async def test_what_is_too_old_is_swept(home: Home) -> None:
    """By each business's own days."""
    clinic = business().model_copy(update={"memory": MemorySettings(retention_days=1)})
    other = business(slug="other")
    async with SqliteStore(home.store) as store:
        facts = [
            CallerFact(each.slug, NUMBER, "A dog.", "call-1", START) for each in (clinic, other)
        ]
        await store.write(lambda connection: note_facts(connection, facts))
        clock = SetClock(START + timedelta(days=2))
        assert await sweep(store, (clinic, other), clock) == 1
        assert len(await CallerMemory(store, "other").recall(NUMBER, since=START)) == 1


async def test_results_of_tools_are_swept_with_the_rest(home: Home) -> None:
    """What a service has said of a caller is kept no longer than what the caller has."""
    clinic = business().model_copy(update={"memory": MemorySettings(retention_days=1)})
    async with SqliteStore(home.store) as store:
        for key, now in (("call-1:a", START), ("call-2:a", START + timedelta(days=2))):
            await once(
                store,
                key=key,
                business=clinic.slug,
                call_id=key[:6],
                tool="cancel_order",
                now=now,
                work=lambda _: "Ann Smith, 12 Oak Street",
            )
        await sweep(store, [clinic], SetClock(START + timedelta(days=2, hours=1)))
        left = await store.read(
            lambda connection: connection.execute("SELECT key FROM effects").fetchall()
        )
    assert [row["key"] for row in left] == ["call-2:a"]


async def test_a_courier_sweeps_when_it_starts(home: Home) -> None:
    """And then once a day."""
    async with SqliteStore(home.store) as store:
        fact = CallerFact("riverside_clinic", NUMBER, "A dog.", "call-1", at(-400 * 86_400))
        await store.write(lambda connection: note_facts(connection, [fact]))

        def gone() -> bool:
            with closing(sqlite3.connect(home.store)) as connection:
                (left,) = connection.execute("SELECT count(*) FROM caller_facts").fetchone()
                return bool(left == 0)

        async with running(home, settings(business())):
            await until(gone)
