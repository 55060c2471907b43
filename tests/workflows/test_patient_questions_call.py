"""The clinic on a real phone line: gateway, livekit-server, worker, local model, record."""

from __future__ import annotations

import pytest

from local.demo.plan import number_of
from local.parts.stack import Stack
from tests.peers.calls import call, new_number, script, wait_for_record
from tests.peers.demo_calls import HEARD_OUT, booked, played

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(300)]


async def test_an_appointment_is_booked_and_is_the_outcome(stack: Stack) -> None:
    """Row, outcome and what the model was told to say have one reference."""
    record = await played(stack, "patient_questions")
    row = await booked(stack, record)
    assert record.outcome is not None
    known = record.outcome.value
    assert record.outcome.complete
    assert (known["result"], known["topic"]) == ("booked", "appointment")
    assert (row["reference"], row["patient_name"]) == (known["reference"], known["patient_name"])
    assert row["patient_phone"] == record.caller_number
    told = [use.result or "" for use in record.tool_uses if use.name == "book_appointment"]
    assert str(row["reference"]) in told[-1]


async def test_a_medical_question_is_left_to_the_staff(stack: Stack) -> None:
    """The record says so, and tells them what about."""
    caller = new_number()
    asked = script(
        HEARD_OUT, {"say": "My back hurts. What medicine can I take?"}, HEARD_OUT, "hang_up"
    )
    number = number_of("patient_questions", stack.settings)
    await call(stack, asked, caller=caller, called=number)
    record = await wait_for_record(stack, caller)
    assert record.outcome is not None
    assert record.outcome.value["result"] == "referred"
    assert record.outcome.summary is not None
    assert record.outcome.summary.title == "A patient's question: medical"
