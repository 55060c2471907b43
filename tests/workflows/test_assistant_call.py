"""The assistant on a real phone line: gateway, livekit-server, worker, local model, record."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.demo.plan import load_plan, number_of
from local.parts.stack import Stack
from tests.peers.calls import call, new_number, wait_for_record
from thirdring import workflow
from thirdring.calls import EndReason
from thirdring.store.events import EventBook
from thirdring.store.messages import MessageBook
from thirdring.store.sqlite import SqliteStore

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(240)]

WORKFLOWS = Path(__file__).parents[2] / "workflows"


async def test_a_meeting_and_a_message_in_one_call(stack: Stack) -> None:
    """Both are made, once, after a yes; the record says who called, why and what has come of it."""
    caller = new_number()
    plan = load_plan(workflow.discover()["assistant"], WORKFLOWS)
    number = number_of("assistant", stack.settings)
    result = await call(stack, plan.script, caller=caller, called=number)
    record = await wait_for_record(stack, caller)
    assert (result.completed, result.ended_by) == (True, "far_end"), result.problem
    assert record.ending.reason is EndReason.COMPLETED

    used = [use.name for use in record.tool_uses if use.error is None]
    assert {"check_calendar", "add_event", "take_message", "end_call"} <= set(used)
    found = stack.settings.find(number)
    assert found is not None
    business, _ = found
    async with SqliteStore(stack.home.store) as store:
        (event,) = await EventBook(store, business.slug).of_call(record.call_id)
        (message,) = await MessageBook(store).of_call(record.call_id)
    assert f"{event.starts_at.astimezone(business.time_zone):%A %H:%M}" == "Wednesday 14:00"
    assert (message.from_number, message.urgent) == (caller, False)

    assert record.outcome is not None
    assert record.outcome.missing == ()
    known = record.outcome.value
    assert isinstance(known, dict)
    assert (known["number"], known["events"]) == (caller, [event.id])
    assert isinstance(known["messages"], list)
    assert len(known["messages"]) == 1
    assert known["urgency"] == "can wait"
