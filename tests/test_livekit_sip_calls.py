"""One scripted call means the same by either SIP side: the worker's journals are equal.

By what, `comparable` says: all but times and ids. Other calls over both sides: `each_side` in
tests/conftest.py.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from local.caller.script import Script
from local.demo.outcome import Delivery, missing
from local.demo.plan import load_plan, number_of
from local.parts.stack import Stack
from local.simulate.world import what_was_made
from tests.peers.calls import call, new_number, script, wait_for_record
from tests.peers.journal_parity import comparable
from tests.peers.phones import needs_livekit_sip
from thirdring import journal, workflow
from thirdring.journal import Entry
from thirdring.store import open_store

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

GREETED = ({"wait": {"silence_ms": 500}}, {"press": "12#"})
KEYS = script(*GREETED, "hang_up")
WORDS = script(*GREETED, {"say": "That is all, thank you. Goodbye."}, {"wait_hang_up": 15})


async def journal_of_a_call(stack: Stack, script: Script) -> list[Entry]:
    """Place the scripted call and return what the worker wrote down."""
    caller = new_number()
    result = await call(stack, script, caller=caller)
    assert (result.completed, result.problem) == (True, None)
    record = await wait_for_record(stack, caller)
    return list(journal.read(stack.home.archive / journal.file_name(record.call_id)).entries)


async def test_a_call_leaves_the_same_journal_by_either_side(
    stack: Stack, each_side: Stack
) -> None:
    """Callers who do the same, by the gateway and by each side, differ in times and ids alone."""
    ours, theirs = await asyncio.gather(
        journal_of_a_call(stack, KEYS), journal_of_a_call(each_side, KEYS)
    )
    assert comparable(ours) == comparable(theirs)
    assert ours != theirs
    assert {entry.kind for entry in ours} == {
        *("opened", "handed_over", "answered", "turn", "digit", "latency", "usage", "ended")
    }


@pytest.mark.parametrize("side", [pytest.param("livekit_sip_stack", marks=needs_livekit_sip)])
async def test_a_talk_leaves_the_same_journal_by_either_side(
    stack: Stack, side: str, request: pytest.FixtureRequest
) -> None:
    """A caller who speaks gets the same tool and the same words, and the agent hangs up."""
    livekit_sip: Stack = request.getfixturevalue(side)
    ours = await journal_of_a_call(stack, WORDS)
    theirs = await journal_of_a_call(livekit_sip, WORDS)
    assert comparable(ours) == comparable(theirs)
    assert {"turn", "tool"} < {entry.kind for entry in ours}


# The demo plays it through the gateway, in tests of its own.
@pytest.mark.parametrize("side", [pytest.param("livekit_sip_stack", marks=needs_livekit_sip)])
async def test_the_call_of_the_demo_is_complete(side: str, request: pytest.FixtureRequest) -> None:
    """Hours, booking, interruption, goodbye: nothing that the demo expects is missing."""
    running: Stack = request.getfixturevalue(side)
    caller = new_number()
    plan = load_plan(workflow.discover()["patient_questions"], ROOT / "workflows")
    result = await call(running, plan.script, caller=caller)
    await wait_for_record(running, caller)
    lines = running.received.read_text(encoding="utf-8").splitlines()
    deliveries = [Delivery.model_validate_json(line) for line in lines]
    of_this_call = [one for one in deliveries if one.record.caller_number == caller]
    found = running.settings.find(number_of(plan.workflow, running.settings))
    assert found is not None
    async with open_store(running.home, os.environ) as store:
        call_id = of_this_call[0].record.call_id
        rows = await what_was_made(store, call_id, found[0].time_zone)
    assert missing(result, of_this_call, plan, rows) == []
