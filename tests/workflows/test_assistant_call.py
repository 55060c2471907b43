"""The assistant on a real phone line: gateway, livekit-server, worker, local model, record."""

from __future__ import annotations

import pytest

from local.demo.plan import number_of
from local.parts.stack import Stack
from tests.peers.demo_calls import played
from thirdring.store.events import EventBook
from thirdring.store.messages import MessageBook
from thirdring.store.sqlite import SqliteStore

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(240)]


async def test_a_meeting_and_a_message_in_one_call(stack: Stack) -> None:
    """Both are made, once, after a yes; the record says who called, why and what has come of it."""
    record = await played(stack, "assistant")

    used = [use.name for use in record.tool_uses if use.error is None]
    assert {"check_calendar", "add_event", "take_message", "end_call"} <= set(used)
    found = stack.settings.find(number_of("assistant", stack.settings))
    assert found is not None
    business, _ = found
    async with SqliteStore(stack.home.store) as store:
        (event,) = await EventBook(store, business.slug).of_call(record.call_id)
        (message,) = await MessageBook(store).of_call(record.call_id)
    assert f"{event.starts_at.astimezone(business.time_zone):%A %H:%M}" == "Wednesday 14:00"
    assert (message.from_number, message.urgent) == (record.caller_number, False)

    assert record.outcome is not None
    assert record.outcome.missing == ()
    known = record.outcome.value
    assert isinstance(known, dict)
    assert (known["number"], known["events"]) == (record.caller_number, [event.id])
    assert isinstance(known["messages"], list)
    assert len(known["messages"]) == 1
    assert known["urgency"] == "can wait"
