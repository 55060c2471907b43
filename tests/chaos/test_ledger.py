"""The ledger notices whatever does not balance."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from local.chaos.ledger import (
    DURABLE,
    Balance,
    Call,
    Kill,
    Received,
    Said,
    balance,
    read_said,
)
from local.chaos.report import Report, as_json
from tests.samples import START, ended, opened, spoken
from thirdring.calls import Role
from thirdring.journal import file_name
from thirdring.record import build

CALLER = "+12025550199"
T = START.timestamp()
CALL = Call(CALLER, "sip", begun_at=T - 1, answered_at=T, over_at=T + 20, rang=True)
SAID = [
    Said(CALLER, "agent", "Hello.", at=T + 0.4, seconds=0.5),
    Said(CALLER, "speaks", "", at=T + 4),
    Said(CALLER, "caller", "Are you open today?", at=T + 4.9, taken_at=T + 5),
]


def record(*texts: tuple[Role, str], call_id: str = "call-1", verified: bool = True) -> Received:
    turns = [spoken(number, role=role, text=text) for number, (role, text) in enumerate(texts)]
    made = build([opened(call_id), *turns, ended(60)])
    return Received(str(made.id), made.model_dump_json().encode(), verified)


HELLO, QUESTION = (Role.AGENT, "Hello."), (Role.CALLER, "Are you open today?")
WHOLE = record(HELLO, QUESTION)


def judged(*received: Received, kills: tuple[Kill, ...] = (), said: list[Said] = SAID) -> Balance:
    return balance([CALL], kills, said, received)


def test_a_whole_record_balances() -> None:
    """One call, one record, every turn once."""
    found = judged(WHOLE)
    assert (found.calls, found.records, found.due, found.missing) == (1, 1, 2, 0)
    assert found.problems == []


def test_a_repetition_that_is_the_same_balances() -> None:
    """A receiver dedupes by the id."""
    found = judged(WHOLE, Received(WHOLE.id, bytes(bytearray(WHOLE.body)), verified=True))
    assert (found.records, found.repeated, found.different, found.problems) == (1, 1, 0, [])


@pytest.mark.parametrize(
    ("received", "why"),
    [
        pytest.param([], "no record", id="lost"),
        pytest.param([WHOLE, Received(WHOLE.id, WHOLE.body + b" ", True)], "two bodies", id="two"),
        pytest.param([WHOLE, record(HELLO, QUESTION, call_id="call-2")], "2 records", id="second"),
        pytest.param([record(HELLO)], "1 turn(s) missing: caller", id="turn missing"),
        pytest.param([record(QUESTION)], "1 turn(s) missing: agent", id="answer missing"),
        pytest.param([record(HELLO, QUESTION, QUESTION)], "1 turn(s) too many", id="turn twice"),
        pytest.param(
            [record(HELLO, QUESTION, (Role.AGENT, "Never said."))], "too many: agent", id="invented"
        ),
        pytest.param([record(HELLO, QUESTION, verified=False)], "not verified", id="not signed"),
        pytest.param([Received("other", WHOLE.body, True)], "holds the record", id="other id"),
    ],
)
def test_what_does_not_balance_is_named(received: list[Received], why: str) -> None:
    """Each kind of fault has its line."""
    assert any(why in problem for problem in judged(*received).problems)


def test_a_record_of_nobody_is_named() -> None:
    """A record without a call is as wrong as a call without a record."""
    found = balance([], [], [], [WHOLE])
    assert found.problems == [f"a record of {CALLER}, who never called"]


@pytest.mark.parametrize(
    ("before", "due"), [(DURABLE + 0.01, 2), (DURABLE - 0.01, 1)], ids=["due", "too late"]
)
def test_a_turn_is_due_when_it_was_final_in_time(before: float, due: int) -> None:
    """What was final less than 50 ms before the kill may be missing."""
    kill = Kill("job", at=T + 5 + before, journals=frozenset({file_name("call-1")}))
    assert judged(WHOLE, kills=(kill,)).due == due
    assert judged(record(HELLO), kills=(kill,)).missing == due - 1


def test_a_turn_that_the_job_had_not_read_is_counted_apart() -> None:
    """What never reached the job cannot have been final there; how often that was is told."""
    said = [replace(one, taken_at=None) for one in SAID]
    kill = Kill("job", at=T + 9, journals=frozenset({file_name("call-1")}))
    found = judged(record(HELLO), kills=(kill,), said=said)
    assert (found.due, found.untaken, found.missing) == (1, 1, 0)
    assert judged(WHOLE, kills=(kill,)).untaken == 0


def test_each_turn_has_the_time_at_which_it_was_read(tmp_path: Path) -> None:
    """The same words twice are two turns; the second one was never read."""
    lines = [("caller", 1), ("taken", 2), ("agent", 3), ("caller", 4)]
    log = tmp_path / "turns.jsonl"
    log.write_text(
        "".join(
            json.dumps({"at": at, "caller": CALLER, "kind": kind, "text": "Yes."}) + "\n"
            for kind, at in lines
        )
    )
    assert [(one.kind, one.at, one.taken_at) for one in read_said(log)] == [
        ("caller", 1, 2),
        ("agent", 3, None),
        ("caller", 4, None),
    ]


def test_an_answer_into_which_the_caller_was_speaking_is_not_due() -> None:
    """The agent stops for a caller who speaks; what was heard of it may be nothing."""
    said = [Said(CALLER, "speaks", "", at=T + 0.1), *(one for one in SAID if one.kind != "speaks")]
    assert judged(record(QUESTION), said=said).problems == []


def test_an_answer_that_was_cut_off_may_be_there_in_part() -> None:
    """What was heard of it is its beginning."""
    said = [*SAID, Said(CALLER, "cut", "We are open today until five.", at=T + 10)]
    assert judged(record(HELLO, QUESTION, (Role.AGENT, "We are")), said=said).problems == []


def test_a_courier_that_was_away_for_long_excuses_only_what_no_job_took() -> None:
    """livekit-server tells for 15 s and then forgets; what anybody said there is never excused."""
    call = Call(CALLER, "room", begun_at=100, answered_at=None, over_at=103, rang=True)
    away = [(95.0, 115.0)]
    assert balance([call], [], [], [], away).unheard == 1
    assert balance([call], [], SAID, [], away).lost == 1
    assert balance([call], [], [], [], [(99.0, 101.0)]).lost == 1


def test_all_figures_are_one_document() -> None:
    """Also how calls ended, and in which phase of a POST the courier was killed."""
    found = balance([], [Kill("courier", 1.0, when="head")], [], [])
    found.endings = {"completed": 1}
    document = json.loads(json.dumps(as_json(Report(7, storms={"silent": found}))))
    assert document["storms"]["silent"]["phases"] == {"head": 1}
    assert document["storms"]["silent"]["rows"]["courier"]["kills"] == 1
