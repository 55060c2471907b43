"""One whole call for a prior authorization: our keys on the wire, a queue, a person, a decision."""

from __future__ import annotations

import pytest

from local.parts.stack import Stack
from tests.peers.demo_calls import played

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(300)]


async def test_a_payer_is_led_through_to_its_decision(stack: Stack) -> None:
    """The payer's menu hears the right keys (RFC 4733), Susan is told what she asks, and the record
    has her decision, her words, her name and her number.
    """
    record = await played(stack, "prior_auth")
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
