"""What a call looks like on a terminal."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from local.demo.show import Timeline
from tests.samples import START, at, ended, opened, spoken, used
from thirdring.calls import Ending, EndReason, Latency, Role, Usage
from thirdring.journal import (
    Answered,
    DigitPressed,
    Ended,
    Entry,
    LatencyMeasured,
    ModelFault,
    OutcomeNoted,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
)


class Screen:
    """A terminal of 80 columns that shows no colours."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        self.timeline = Timeline(Console(file=self._text, width=80, highlight=False), START)

    def show(self, entry: Entry) -> str:
        """Return what one entry adds."""
        self.timeline.entry(entry)
        return self.lines()

    def lines(self) -> str:
        """Return what was added since the last time."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text


@pytest.fixture
def screen() -> Screen:
    return Screen()


def tool(**changed: Any) -> ToolUsed:
    entry = used(2)
    return entry.model_copy(update={"use": entry.use.model_copy(update=changed)})


def interrupted() -> TurnSpoken:
    entry = spoken(1, role=Role.AGENT, text="Hello, thank")
    return TurnSpoken(at=entry.at, turn=entry.turn.model_copy(update={"interrupted": True}))


ENDING = Ending(reason=EndReason.NOT_IN_SERVICE, at=at(3), detail="no such line")


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            opened(),
            "  0.000  call   line +12025550142, workflow patient_questions, model gpt-realtime-2.1",
        ),
        (
            opened().model_copy(update={"line": None}),
            "  0.000  call   no line has this number",
        ),
        (Answered(at=at(0.5)), "  0.500  call   answered: the caller hears from now on"),
        (spoken(1), "  1.000  caller Are you open today?"),
        (interrupted(), "  1.000  agent  Hello, thank — interrupted"),
        (used(2), "  2.000  tool   opening_hours() → Closed all week.  [100 ms]"),
        (
            tool(arguments={"day": "friday"}, result=None, error="Closed."),
            '  2.000  tool   opening_hours(day="friday") → refused: Closed.  [100 ms]',
        ),
        (tool(arguments="{day"), "  2.000  tool   opening_hours() → Closed all week.  [100 ms]"),
        (
            LatencyMeasured(at=at(2), latency=Latency(kind="reply", milliseconds=812.4)),
            "  2.000  wait   812 ms from the model's end of turn to the agent's first word",
        ),
        (DigitPressed(at=at(2), digit="#"), "  2.000  caller pressed #"),
        (
            ModelFault(at=at(2), source="RealtimeModel", message="gone", recoverable=True),
            "  2.000  fault  RealtimeModel: gone",
        ),
        (ended(3), "  3.000  call   ended: caller_hung_up"),
        (
            Ended(at=at(4), ending=ENDING),
            "  3.000  call   ended: not_in_service (no such line)",
        ),
    ],
)
def test_each_entry_is_one_line(screen: Screen, entry: Entry, line: str) -> None:
    """Seconds since the call began, who, and what; long lines are left to the terminal."""
    assert screen.show(entry) == f"{line}\n"


def test_totals_are_left_to_the_summary(screen: Screen) -> None:
    """A running count of tokens says nothing to who listens."""
    assert screen.show(UsageCounted(at=at(1), usage=Usage(model="m"))) == ""


def test_a_long_result_is_cut(screen: Screen) -> None:
    """What the model heard may be eight kilobytes."""
    line = screen.show(tool(result="word " * 200))
    assert len(line) < 180
    assert "..." in line


def test_what_is_said_is_no_markup(screen: Screen) -> None:
    """Square brackets of a caller's name stay what they are."""
    assert "[red]Bob[/red]" in screen.show(spoken(1, text="[red]Bob[/red]"))


def test_the_sip_ladder_has_two_directions(screen: Screen) -> None:
    """As the caller sees them; what the journal tells too is left out."""
    common = {"at": at(0.1).isoformat(), "seconds": 0.1}
    for direction, message in (("out", "INVITE"), ("in", "200 OK")):
        sip = {"event": "sip", "direction": direction, "message": message}
        screen.timeline.caller_event(common | sip)
    screen.timeline.caller_event(common | {"event": "audio_started"})
    screen.timeline.caller_event(common | {"event": "spoken", "text": "Hello"})
    arrows = [re.sub(r"^ *[\d.]+ +", "", line) for line in screen.lines().splitlines()]
    assert arrows == [
        "sip    caller ──▶ gateway  INVITE",
        "sip    caller ◀── gateway  200 OK",
        "wait   first sound of the agent at the caller's ear",
    ]


def test_an_outcome_is_shown_as_far_as_it_is_known(screen: Screen) -> None:
    """Fields that say nothing are left out; what is missing is named."""
    entry = OutcomeNoted(
        at=at(4), outcome={"name": "Ann", "city": None, "urgent": False}, missing=("city",)
    )
    assert screen.show(entry) == '  4.000  noted  name="Ann", urgent=false; missing: city\n'
    done = entry.model_copy(update={"missing": ()})
    assert screen.show(done).endswith("urgent=false; complete\n")
