"""One scripted call means the same by either SIP side: the worker's journals are equal.

By what, `comparable` says: all but times and ids. Other calls over both sides: `each_side` in
tests/conftest.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from local.caller.script import load_script
from local.demo.outcome import Delivery, missing
from local.parts.stack import Stack
from tests.peers.calls import call, new_number, script, wait_for_record
from tests.peers.journal_parity import comparable
from tests.peers.phones import needs_livekit_sip
from thirdring import journal
from thirdring.journal import Entry

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

CALL = script(
    {"wait": {"silence_ms": 500}},
    {"press": "12#"},
    {"say": "That is all, thank you. Goodbye."},
    {"wait_hang_up": 15},
)


async def journal_of_a_call(stack: Stack) -> list[Entry]:
    """Place the scripted call and return what the worker wrote down."""
    caller = new_number()
    result = await call(stack, CALL, caller=caller)
    assert (result.completed, result.problem) == (True, None)
    record = await wait_for_record(stack, caller)
    return list(journal.read(stack.home.archive / journal.file_name(record.call_id)).entries)


async def test_two_calls_of_one_script_leave_equal_journals(stack: Stack) -> None:
    """Two callers who do the same at the same time differ in times and ids alone."""
    first, second = await asyncio.gather(journal_of_a_call(stack), journal_of_a_call(stack))
    assert comparable(first) == comparable(second)
    assert first != second
    assert {entry.kind for entry in first} == {
        *("opened", "answered", "turn", "tool", "digit", "latency", "usage", "ended")
    }


@pytest.mark.parametrize("other", [pytest.param("livekit_sip_stack", marks=needs_livekit_sip)])
async def test_both_sip_sides_leave_equal_journals(
    stack: Stack, other: str, request: pytest.FixtureRequest
) -> None:
    """The worker cannot tell livekit-sip from the gateway."""
    livekit_sip: Stack = request.getfixturevalue(other)
    ours, theirs = await asyncio.gather(journal_of_a_call(stack), journal_of_a_call(livekit_sip))
    assert comparable(ours) == comparable(theirs)


# The demo plays it through the gateway, in tests of its own.
@pytest.mark.parametrize("side", [pytest.param("livekit_sip_stack", marks=needs_livekit_sip)])
async def test_the_call_of_the_demo_is_complete(side: str, request: pytest.FixtureRequest) -> None:
    """Hours, booking, interruption, goodbye: nothing that the demo expects is missing."""
    running: Stack = request.getfixturevalue(side)
    caller = new_number()
    result = await call(running, load_script(ROOT / "local/demo/call.yaml"), caller=caller)
    await wait_for_record(running, caller)
    lines = running.received.read_text(encoding="utf-8").splitlines()
    deliveries = [Delivery.model_validate_json(line) for line in lines]
    of_this_call = [one for one in deliveries if one.record.caller_number == caller]
    assert missing(result, of_this_call, scripted=True) == []
