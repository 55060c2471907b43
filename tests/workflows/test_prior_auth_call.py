"""One whole call for a prior authorization: our keys on the wire, a queue, a person, a decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.demo.plan import load_plan, number_of
from local.parts.stack import Stack
from tests.peers.calls import call, new_number, wait_for_record
from thirdring import workflow
from thirdring.calls import EndReason

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(300)]

WORKFLOWS = Path(__file__).parents[2] / "workflows"


async def test_a_payer_is_led_through_to_its_decision(stack: Stack) -> None:
    """The payer's menu hears the right keys (RFC 4733), Susan is told what she asks, and the record
    has her decision, her words, her name and her number.
    """
    payer = new_number()
    plan = load_plan(workflow.discover()["prior_auth"], WORKFLOWS)
    number = number_of("prior_auth", stack.settings)
    result = await call(stack, plan.script, caller=payer, called=number)
    record = await wait_for_record(stack, payer)
    assert (result.completed, result.ended_by) == (True, "far_end"), result.problem
    assert record.ending.reason is EndReason.COMPLETED
    assert [use.name for use in record.tool_uses if use.error is None] == [
        "press_keys",
        "press_keys",
        "keep_waiting",
        "hand_over_to_representative",
        "note_decision",
        "note_decision",
        "end_call",
    ]
    assert record.outcome is not None
    assert record.outcome.complete
    value = record.outcome.value
    assert (value["status"], value["reference"], value["spoken_to"]) == (
        "approved",
        "4471",
        "Susan",
    )
    assert value["quote"] in [turn.text for turn in record.turns]
