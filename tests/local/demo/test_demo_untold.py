"""The demo does not take a tool's use for an answer: the caller must have heard it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.caller.measure import measure
from local.caller.packets import CallLog
from local.caller.placing import CallResult
from local.caller.script import HangUp, Script
from local.demo.outcome import Delivery, missing
from local.demo.plan import DemoExpected, Plan
from tests.samples import at, ended, opened, spoken
from thirdring.calls import Role, ToolUse
from thirdring.journal import ToolUsed
from thirdring.record import build

NO_CALL = CallResult(
    target="sip:x@y",
    caller="+12025550199",
    completed=False,
    problem=None,
    status=None,
    ended_by=None,
    measures=measure(CallLog(invited_at=0, ringing_at=None, answered_at=None, ended_at=1)),
)
PLAN = Plan("x", Path("demo.yaml"), Script(steps=(HangUp(),)), DemoExpected())


@pytest.mark.parametrize(
    ("tool", "result", "said", "due"),
    [
        ("opening_hours", "Monday 9 AM to 5 PM.", "Of course. Monday", "Monday 9 AM to 5 PM."),
        ("book_appointment", '{"reference": "RC-1"}', "That is booked.", "RC-1"),
    ],
)
def test_what_was_not_said_to_its_end_is_missing(
    tool: str, result: str, said: str, due: str
) -> None:
    """Hours that were spoken over, or a reference never read out, are named."""

    def untold(said: str) -> list[str]:
        use = ToolUse(
            id="u", name=tool, arguments={}, result=result, started_at=at(1), ended_at=at(2)
        )
        turn = spoken(3, role=Role.AGENT, text=said)
        record = build([opened(), ToolUsed(at=at(2), use=use), turn, ended(9)])
        delivery = Delivery(verified=True, body=record.model_dump(mode="json"))
        return [line for line in missing(NO_CALL, [delivery], PLAN, {}) if "returned" in line]

    assert untold(said) == [f"the agent did not say what {tool} returned: {due}"]
    assert untold(f"{said} {due}") == []
