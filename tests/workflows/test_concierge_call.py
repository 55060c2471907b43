"""Whole calls of the concierge: with its user, and with the restaurant that it asks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from local.parts.stack import Stack
from tests.peers.calls import call, new_number, script, wait_for_record
from tests.peers.demo_calls import played
from thirdring.calls import EndReason, Role
from thirdring.store.errands import Wish, add, find
from thirdring.store.sqlite import SqliteStore

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(300)]

LINE = "+12025550144"
BUSINESS = "table_for_you"


async def test_a_user_wishes_for_a_table(stack: Stack) -> None:
    """The wish is read back, agreed to, and kept as an errand under an id of ours."""
    record = await played(stack, "concierge")
    assert record.outcome is not None
    assert record.outcome.complete
    async with SqliteStore(stack.home.store) as store:
        errand = await find(store, BUSINESS, str(record.outcome.value["errand"]))
    assert errand is not None
    assert (errand.state, errand.call_id) == ("open", record.call_id)
    assert (errand.details["party_size"], errand.details["contact_phone"]) == (
        4,
        record.caller_number,
    )
    assert "7:30 PM" in str(errand.details["when"])


async def test_a_restaurant_confirms_in_its_own_words(stack: Stack) -> None:
    """On the leg to the restaurant its agent speaks first, and its answer settles the errand with
    the words that stand in the transcript. The restaurant calls back here, for nothing dials yet.
    """
    restaurant = new_number()
    wish = Wish(
        business=BUSINESS,
        kind="concierge",
        number=restaurant,
        details={
            "restaurant": "Bella Vista",
            "restaurant_phone": restaurant,
            "starts_at": "2027-03-02T19:30:00-05:00",
            "when": "Tuesday, March 2 at 7:30 PM",
            "party_size": 4,
            "guest_name": "Mary Jones",
            "contact_phone": None,
            "preferences": "",
        },
        call_id="an-earlier-call",
        key=f"wish of {restaurant}",
    )
    async with SqliteStore(stack.home.store) as store:
        wished = await store.write(lambda connection: add(connection, wish, now=datetime.now(UTC)))
        says = script(
            {"wait": {"silence_ms": 3000, "timeout_s": 60}},
            {"say": "Yes, that works. You are booked."},
            {"wait": {"silence_ms": 2000, "timeout_s": 60}},
            {"say": "You are welcome. Have a nice day."},
            {"wait_hang_up": 40},
        )
        result = await call(stack, says, caller=restaurant, called=LINE)
        record = await wait_for_record(stack, restaurant)
        errand = await find(store, BUSINESS, wished.id)
    assert (result.completed, record.ending.reason) == (True, EndReason.COMPLETED), result.problem
    # Of what it said only what was heard: a slow machine pauses, and the restaurant comes in.
    assert record.turns[0].role is Role.AGENT
    assert record.turns[0].text.startswith("Hello, this is Charlie")
    assert errand is not None
    assert errand.state == "confirmed"
    assert errand.result is not None
    assert errand.result["quote"] in [turn.text for turn in record.turns]
    assert record.outcome is not None
    assert record.outcome.value["errand"] == wished.id
