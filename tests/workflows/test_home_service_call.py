"""The home service on a real phone line: gateway, livekit-server, worker, local model, record."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.demo.plan import load_plan, number_of
from local.parts.stack import Stack
from tests.peers.calls import call, new_number, script, wait_for_record
from thirdring import workflow
from thirdring.calls import EndReason
from thirdring.record import Record, RecordOutcome
from thirdring.store.sqlite import SqliteStore

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(300)]

WORKFLOWS = Path(__file__).parents[2] / "workflows"
GREETED = {"wait": {"silence_ms": 1500, "timeout_s": 40}}


def outcome(record: Record) -> RecordOutcome:
    assert record.outcome is not None
    return record.outcome


async def test_a_visit_is_booked_and_its_job_card_delivered(stack: Stack) -> None:
    """One row in the book, for the caller's number; the card is whole and says the same."""
    caller = new_number()
    plan = load_plan(workflow.discover()["home_service"], WORKFLOWS)
    number = number_of("home_service", stack.settings)
    result = await call(stack, plan.script, caller=caller, called=number)
    record = await wait_for_record(stack, caller)
    assert (result.completed, result.ended_by) == (True, "far_end"), result.problem
    assert record.ending.reason is EndReason.COMPLETED
    async with SqliteStore(stack.home.store) as store:
        (row,) = await store.read(
            lambda connection: connection.execute(
                "SELECT * FROM appointments WHERE call_id = ?", (record.call_id,)
            ).fetchall()
        )
    card = outcome(record).value
    assert outcome(record).complete
    assert (row["patient_phone"], row["reference"]) == (caller, card["reference"])
    assert (card["phone"], card["confirmed"], card["urgent"]) == (caller, True, False)
    assert str(card["appointment"]).startswith("Tuesday, ")
    summary = outcome(record).summary
    assert summary is not None
    assert summary.title.startswith("Job: ")
    assert str(card["reference"]) in summary.body


async def test_an_emergency_reaches_the_record_although_the_caller_hangs_up(stack: Stack) -> None:
    """Nothing but the danger is known: the card is urgent, and says what is missing."""
    caller = new_number()
    leak = script(GREETED, {"say": "There is a gas leak in my kitchen."}, GREETED, "hang_up")
    number = number_of("home_service", stack.settings)
    await call(stack, leak, caller=caller, called=number)
    record = await wait_for_record(stack, caller)
    card = outcome(record)
    assert (card.value["urgent"], card.value["urgent_why"]) == (True, "gas leak")
    assert "address" in card.missing
    assert card.summary is not None
    assert (card.summary.urgent, card.summary.title[:8]) == (True, "URGENT: ")
    assert "9 1 1" in record.turns[-1].text
