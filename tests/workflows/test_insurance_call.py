"""The insurance agency on a real phone line: gateway, livekit-server, worker, model, record."""

from __future__ import annotations

import asyncio

import pytest

from local.demo.plan import number_of
from local.parts.stack import Stack
from tests.peers.calls import call, records, script
from tests.peers.demo_calls import HEARD_OUT, played
from thirdring.store.callbacks import CallbackBook
from thirdring.store.sqlite import SqliteStore

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(300)]


async def test_a_call_back_is_noted_and_remembered(stack: Stack) -> None:
    """The row says when and whom to call; the record says it too; the next call knows of it."""
    record = await played(stack, "insurance")
    caller = str(record.caller_number)
    async with SqliteStore(stack.home.store) as store:
        (row,) = await CallbackBook(store).of_call(record.call_id)
    assert row.number == caller
    assert row.wanted_at is not None
    assert f"{row.wanted_at:%A}" == "Monday"
    assert record.outcome is not None
    assert record.outcome.complete
    known = record.outcome.value
    assert (known["topic"], known["callback_asked"]) == ("claim", True)
    assert isinstance(known["callback"], dict)
    assert known["callback"]["number"] == caller

    heard_out = {"wait": {"silence_ms": 3000, "timeout_s": 40}}
    again = script(HEARD_OUT, {"say": "Do you remember me?"}, heard_out, "hang_up")
    await call(stack, again, caller=caller, called=number_of("insurance", stack.settings))
    async with asyncio.timeout(40):
        while len(found := records(stack, caller)) < 2:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)
    (second,) = (each for each in found if each.call_id != record.call_id)
    said = second.turns[-1].text
    assert "Last time you told us this" in said
    assert "nothing yet" not in said
