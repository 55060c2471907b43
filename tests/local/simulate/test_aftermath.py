"""What a call has left, held against what was expected."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.scenarios import (
    Booking,
    Callback,
    Errand,
    Event,
    Expected,
    Message,
    Notification,
    ToolOutcome,
)
from local.simulate.aftermath import LISTS, Aftermath, unmet
from thirdring.record import RecordOutcome

TUESDAY = datetime(2026, 11, 24, 14, tzinfo=ZoneInfo("America/New_York"))
MET = Aftermath(
    tools=(ToolOutcome(name="find_slots", refused=True), ToolOutcome(name="end_call")),
    ended=True,
    rows={
        "appointments": (Booking(slot="s_20261124_0900", name="Ann", phone=None),),
        "events": (Event(title="Visit of Ann", starts_at=TUESDAY, minutes=30),),
        "messages": (Message(body="Please call back.", urgent=True),),
        "callbacks": (Callback(number="+12025550199", wanted="tomorrow at two"),),
        "notifications": (Notification(recipient="owner", title="Leak", urgent=True),),
        "errands": (Errand(kind="reserve", details={"party": 2, "name": "Ann"}),),
    },
    memory=("Likes mornings.",),
    opted_out=False,
    errand=Errand(kind="ask", state="done", result={"table": "yes", "at": 7}),
    outcome=RecordOutcome(value={"name": "Ann", "city": None}, complete=False, missing=("city",)),
    answers=("Hello.", "Good bye."),
)
EXPECTED = Expected.model_validate(
    {
        "tools": [{"name": "find_slots", "refused": True}, {"name": "end_call"}],
        "ended": True,
        "appointments": [{"slot": "s_20261124_0900", "name": "Ann", "phone": None}],
        "events": [{"starts_at": "2026-11-24T14:00", "title": "visit"}],
        "messages": [{"body": "CALL BACK", "urgent": True}],
        "callbacks": [{"number": "+12025550199", "wanted": "two"}],
        "notifications": [{"recipient": "owner", "urgent": True}],
        "errands": [{"kind": "reserve", "details": {"party": 2}}],
        "memory": ["mornings"],
        "opted_out": False,
        "errand": {"state": "done", "result": {"at": 7}},
        "outcome": {"complete": False, "fields": {"name": "Ann"}},
        "answers": [{"line": 1, "has": ["GOOD"], "lacks": ["dose"]}],
    }
)


def test_a_call_as_expected_leaves_nothing_unmet() -> None:
    """A text need only occur; a time without a zone is one of the business's."""
    assert unmet(EXPECTED, MET) == []


def row(table: str, **changes: Any) -> dict[str, Any]:
    """Return what changes one row of a table."""
    (before,) = MET.rows[table]
    return {"rows": {**MET.rows, table: (before.model_copy(update=changes),)}}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"tools": ()}, "tools: got none, expected find_slots (refused), end_call"),
        ({"tools": (ToolOutcome(name="find_slots"), MET.tools[1])}, "tools: got find_slots, end"),
        ({"ended": False}, "ended: the agent has not hung up"),
        (row("appointments", phone="+12025550199"), "appointments 1, phone: got '+12025550199'"),
        (
            row("events", starts_at=TUESDAY.replace(hour=2)),
            "events 1, starts_at: got 2026-11-24T02",
        ),
        (row("messages", urgent=False), "messages 1, urgent: got False, expected True"),
        (row("callbacks", wanted="at three"), "callbacks 1, wanted: got 'at three'"),
        (row("notifications", recipient="cook"), "notifications 1, recipient: got 'cook'"),
        (row("errands", details={"party": 3}), "errands 1, details: got {'party': 3}"),
        ({"rows": {}}, "appointments: got 0, expected 1: none"),
        ({"memory": ()}, "memory: got [], expected ['mornings']"),
        ({"errand": None}, "errand: got 0, expected 1"),
        ({"errand": Errand(state="open")}, "errand 1, result: got None, expected {'at': 7}"),
        ({"opted_out": True}, "opted_out: got True"),
        ({"outcome": None}, "outcome, name: got None, expected 'Ann'"),
        (
            {"outcome": RecordOutcome(value={"name": "Ann"}, complete=True)},
            "outcome: is complete",
        ),
        ({"answers": ("Hello.", "Bye.")}, "the answer to line 1 lacks 'GOOD'"),
        ({"answers": ("Hello.", "Good. A dose.")}, "the answer to line 1 has 'dose'"),
    ],
)
def test_every_expectation_can_fail(change: dict[str, Any], what: str) -> None:
    """Each part of what is expected is compared with what happened."""
    assert unmet(EXPECTED, dataclasses.replace(MET, **change))[0].startswith(what)


def test_more_than_expected_is_a_failure_too() -> None:
    """A second message that nobody asked for is an effect, not a bonus."""
    twice = [*MET.rows["messages"], *MET.rows["messages"]]
    (line,) = unmet(EXPECTED, dataclasses.replace(MET, rows={**MET.rows, "messages": twice}))
    assert line.startswith("messages: got 2, expected 1")


def test_what_is_not_mentioned_is_not_looked_at() -> None:
    """Tools and ending alone must be expected."""
    loose = Expected(tools=EXPECTED.tools, ended=True)
    assert unmet(loose, MET) == []


def test_a_model_may_go_its_own_way_to_the_same_end() -> None:
    """Another order and other words: what has worked and what is stored must still be so."""
    free = dataclasses.replace(
        MET, tools=(MET.tools[1], ToolOutcome(name="opening_hours")), answers=("Hi.", "Bye.")
    )
    assert unmet(EXPECTED, free, word_for_word=False) == []
    lazy = dataclasses.replace(free, tools=())
    assert unmet(EXPECTED, lazy, word_for_word=False) == [
        "tools: end_call has not worked; used were none"
    ]


def test_all_that_can_be_expected_is_compared() -> None:
    """A field that is added to the one is added to the other."""
    rest = {field.name for field in dataclasses.fields(Aftermath)} - {"rows"}
    assert set(Expected.model_fields) == rest | set(LISTS)
