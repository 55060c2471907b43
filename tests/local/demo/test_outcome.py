"""What the demo takes for a call that went well, and what it says of every other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local.caller.measure import Measures, Silence, TurnMeasures
from local.caller.packets import UtteranceKind
from local.caller.placing import CallResult
from local.caller.script import Interrupt, Interruption, Say, Script
from local.demo.outcome import Delivery, missing, summary
from local.demo.plan import DemoExpected, Plan
from local.scenarios import Booking, ExpectedOutcome
from tests.samples import at, ended, opened, spoken
from thirdring.calls import EndReason, Role, ToolUse
from thirdring.journal import Answered, Entry, ToolUsed, TurnSpoken
from thirdring.record import build

HOURS = "Monday to Friday 9 AM to 5 PM."
BOOKED = json.dumps({"reference": "RC-1001"})


TOOLS = ("opening_hours", "find_slots", "book_appointment", "end_call")
ROWS = {"appointments": (Booking(slot="s_20261124_0900", name="Ann Baker"),)}


def plan(*, interrupts: bool = True, **expect: Any) -> Plan:
    """Return the demo whose call the journal below is."""
    over = Interrupt(interrupt=Interruption(after_words=0, say="The first one."))
    script = Script(steps=(Say(say="Hello."), *([over] if interrupts else [])))
    expected = DemoExpected.model_validate({"tools": TOOLS, **expect})
    return Plan("patient_questions", Path("demo.yaml"), script, expected)


PLAN = plan(appointments=[{"name": "Ann Baker"}])


def turn_measures(**changed: Any) -> TurnMeasures:
    usual: dict[str, Any] = {
        "kind": UtteranceKind.SAY,
        "text": "Hello",
        "started_s": 1,
        "ended_s": 2,
        "response_ms": 800,
        "barge_in_ms": 250,
        "interrupted_agent": True,
    }
    return TurnMeasures(**usual | changed)


def call(**changed: Any) -> CallResult:
    """Return a call in which everything happened, but for `changed` in result or measures."""
    measures: dict[str, Any] = {
        "invite_to_180_ms": 20,
        "invite_to_200_ms": 300,
        "answer_to_first_audio_ms": 120,
        "turns": (turn_measures(), turn_measures(response_ms=600, barge_in_ms=None)),
        "longest_silence": Silence(seconds=1.5, at_s=4),
        "lost_packets_percent": 0,
        "largest_gap_ms": 20,
        "pacing": None,
        "duration_s": 30.2,
    }
    result: dict[str, Any] = {
        "target": "sip:x@y",
        "caller": "+12025550199",
        "completed": True,
        "problem": None,
        "status": None,
        "ended_by": "far_end",
    }
    known = {key: value for key, value in changed.items() if key in measures}
    rest = {key: value for key, value in changed.items() if key not in measures}
    return CallResult(**result | rest, measures=Measures(**measures | known))


def tool(number: int, name: str, *, result: str | None = "ok", error: str | None = None) -> Entry:
    use = ToolUse(
        id=f"u{number}",
        name=name,
        arguments={},
        result=result,
        error=error,
        started_at=at(number),
        ended_at=at(number + 0.1),
    )
    return ToolUsed(at=at(number), use=use)


def agent_says(number: int, text: str, *, interrupted: bool = False) -> Entry:
    entry = spoken(number, role=Role.AGENT, text=text)
    turn = entry.turn.model_copy(update={"interrupted": interrupted})
    return TurnSpoken(at=entry.at, turn=turn)


@dataclass
class Journal:
    """The entries of a call that went well, each by its name so that a test can change it."""

    entries: dict[str, Entry] = field(
        default_factory=lambda: {
            "opened": opened(),
            "answered": Answered(at=at(0)),
            "caller": spoken(1),
            "interrupted": agent_says(2, "Hello, thank", interrupted=True),
            "opening_hours": tool(3, "opening_hours", result=HOURS),
            "hours": agent_says(4, f"Of course. {HOURS}"),
            "find_slots": tool(5, "find_slots"),
            "book_appointment": tool(6, "book_appointment", result=BOOKED),
            "reference": agent_says(7, "Your reference is RC-1001."),
            "end_call": tool(8, "end_call"),
            "ended": ended(9, EndReason.COMPLETED),
        }
    )

    def delivery(self, *, verified: bool | None = True, **changed: Entry | None) -> Delivery:
        """Return the record as the webhook got it."""
        entries = [entry for entry in (self.entries | changed).values() if entry is not None]
        body = json.loads(build(entries).model_dump_json())
        return Delivery(verified=verified, body=body)


def test_nothing_is_missing_of_a_call_that_went_well() -> None:
    """Every part is there: no line, so exit code 0."""
    assert missing(call(), [Journal().delivery()], PLAN, ROWS) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"completed": False, "problem": "busy"}, "could not follow its script: busy"),
        ({"answer_to_first_audio_ms": None}, "never heard the agent"),
        ({"longest_silence": Silence(seconds=3.2, at_s=7)}, "silence of 3.2 s, 7.0 s into"),
        ({"turns": (turn_measures(barge_in_ms=None),)}, "did not stop when the caller spoke"),
        ({"ended_by": "caller"}, "did not hang up after its goodbye"),
    ],
)
def test_what_the_caller_did_not_get(changed: dict[str, Any], line: str) -> None:
    """Each lack is one line of its own."""
    (only,) = missing(call(**changed), [Journal().delivery()], PLAN, ROWS)
    assert line in only


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"verified": False}, "signature could not be verified"),
        ({"verified": None}, "signature could not be verified"),
        ({"ended": ended(9)}, "ended as caller_hung_up"),
        ({"caller": None}, "no turn of the caller"),
        ({"interrupted": agent_says(2, "Hello.")}, "no interrupted turn"),
        ({"end_call": None}, "the tool end_call was not used"),
        ({"find_slots": tool(5, "find_slots", result=None, error="Closed.")}, "tool find_slots"),
    ],
)
def test_what_the_record_lacks(changed: dict[str, Any], line: str) -> None:
    """A tool that was refused was not used."""
    (only,) = missing(call(), [Journal().delivery(**changed)], PLAN, ROWS)
    assert line in only


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_record(count: int) -> None:
    """None is as wrong as two."""
    lines = missing(call(), [Journal().delivery()] * count, PLAN, ROWS)
    assert lines == [f"{count} records reached the webhook instead of one"]


def test_a_real_model_may_use_other_tools() -> None:
    """Only of the script is it known beforehand what it does."""
    delivery = Journal().delivery(find_slots=None, book_appointment=None, end_call=None)
    assert missing(call(), [delivery], PLAN, None) == []


def test_rows_and_outcome_are_those_of_the_demo() -> None:
    """What the store has, and what the record says that the call came to."""
    expected = plan(
        appointments=[{"name": "Bob"}],
        messages=[{}],
        outcome=ExpectedOutcome(complete=True).model_dump(),
    )
    assert missing(call(), [Journal().delivery()], expected, ROWS) == [
        "outcome: lacks all of it",
        "appointments 1, name: got 'Ann Baker', expected 'Bob'",
        "messages: got 0, expected 1: none",
    ]


def test_only_who_interrupts_must_silence_the_agent() -> None:
    """A demo without an interruption needs none in record and measures."""
    journal = Journal().delivery(interrupted=agent_says(2, "Hello."))
    quiet = call(turns=(turn_measures(barge_in_ms=None),))
    assert missing(quiet, [journal], plan(interrupts=False), ROWS) == []


def test_a_demo_may_allow_a_longer_silence() -> None:
    """Who is put on hold waits in silence."""
    waited = call(longest_silence=Silence(seconds=7.9, at_s=4))
    patient = plan(appointments=[{"name": "Ann Baker"}], longest_silence_s=8)
    assert missing(waited, [Journal().delivery()], patient, ROWS) == []


def test_the_caller_may_be_the_one_who_hangs_up() -> None:
    """Then a call that the caller has ended is as it should be."""
    journal = Journal().delivery(ended=ended(9, EndReason.CALLER_HUNG_UP))
    by_caller = plan(hangs_up="caller")
    assert missing(call(ended_by="caller"), [journal], by_caller, ROWS) == []


def test_the_summary_is_one_line_of_figures() -> None:
    """Medians of what was measured."""
    assert summary(call().measures, [Journal().delivery()]) == (
        "30 s call · answered after 300 ms · greeted 120 ms later · "
        "replies 700 ms after the caller's last word · "
        "silent 250 ms after being interrupted · 1 record delivered"
    )


def test_what_was_not_measured_never_happened() -> None:
    """A call that was refused has no figures."""
    refused = call(invite_to_200_ms=None, answer_to_first_audio_ms=None, turns=())
    line = summary(refused.measures, [])
    assert line.count("never") == 3
    assert "interrupted" not in line
    assert line.endswith("0 record delivered")
