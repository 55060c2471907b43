"""The home service on a real phone line: gateway, livekit-server, worker, local model, record."""

from __future__ import annotations

import pytest

from local.demo.plan import number_of
from local.parts.stack import Stack
from tests.peers.calls import call, new_number, script, wait_for_record
from tests.peers.demo_calls import HEARD_OUT, booked, played
from thirdring.record import Record, RecordOutcome

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(300)]


def outcome(record: Record) -> RecordOutcome:
    assert record.outcome is not None
    return record.outcome


async def test_a_visit_is_booked_and_its_job_card_delivered(stack: Stack) -> None:
    """One row in the book, for the caller's number; the card is whole and says the same."""
    record = await played(stack, "home_service")
    row = await booked(stack, record)
    card = outcome(record).value
    assert outcome(record).complete
    assert (row["patient_phone"], row["reference"]) == (record.caller_number, card["reference"])
    assert (card["phone"], card["confirmed"], card["urgent"]) == (record.caller_number, True, False)
    assert str(card["appointment"]).startswith("Tuesday, ")
    summary = outcome(record).summary
    assert summary is not None
    assert summary.title.startswith("Job: ")
    assert str(card["reference"]) in summary.body


async def test_an_emergency_reaches_the_record_although_the_caller_hangs_up(stack: Stack) -> None:
    """Nothing but the danger is known: the card is urgent, and says what is missing."""
    caller = new_number()
    leak = script(HEARD_OUT, {"say": "There is a gas leak in my kitchen."}, HEARD_OUT, "hang_up")
    number = number_of("home_service", stack.settings)
    await call(stack, leak, caller=caller, called=number)
    record = await wait_for_record(stack, caller)
    card = outcome(record)
    assert (card.value["urgent"], card.value["urgent_why"]) == (True, "gas leak")
    assert "address" in card.missing
    assert card.summary is not None
    assert (card.summary.urgent, card.summary.title[:8]) == (True, "URGENT: ")
    assert "9 1 1" in record.turns[-1].text
