from __future__ import annotations

from datetime import date, time

from tests.peers.tool_calls import Conversation
from thirdring.settings import Holiday, OpeningHours
from tools.hours import opening_hours

TOOLS = [opening_hours]


async def test_the_hours_are_a_sentence(call: Conversation) -> None:
    """The model gets something that it can say."""
    hours = await call.use("opening_hours")
    assert hours == "Monday to Friday 9 AM to 5 PM; closed on Saturday and Sunday."


async def test_holidays_that_are_near_are_told(call: Conversation) -> None:
    """A closed day, and one with hours of its own; none that is weeks away."""
    noon = (OpeningHours(opens=time(9), closes=time(12)),)
    holidays = (
        Holiday(day=date(2026, 11, 27), hours=noon),
        Holiday(day=date(2026, 11, 26), name="Thanksgiving"),
        Holiday(day=date(2026, 12, 25), name="Christmas"),
    )
    call.state.business = call.state.business.model_copy(update={"holidays": holidays})
    assert (await call.use("opening_hours")).endswith(
        "Sunday. Closed on Thursday, November 26 (Thanksgiving). "
        "On Friday, November 27 9 AM to 12 PM."
    )
