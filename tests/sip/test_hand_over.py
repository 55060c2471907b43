"""A job and the journal that a gateway has opened before it."""

from __future__ import annotations

import asyncio

import pytest

from sip.answering import Switchboard
from sip.inbound import phone_leg
from tests.peers.scripted_model import ScriptedModel
from tests.peers.whole_call import PHONE, Calls
from thirdring.calls import Ending, EndReason
from thirdring.clock import SystemClock
from thirdring.home import Home
from thirdring.journal import Ended, HandedOver, Opened, Ringing

pytestmark = pytest.mark.server


def rung(board: Switchboard) -> Ringing:
    """Open the phone's journal as a gateway does."""
    opened = Opened(
        at=SystemClock().now(),
        leg=phone_leg("sip_caller", PHONE, otherwise="room"),
        business=None,
        line=None,
        workflow=None,
        model=None,
        room="room",
        job="",
    )
    return Ringing.open(board.home.journals, opened)


async def test_the_job_goes_on_where_the_gateway_began(
    calling: Calls, model: ScriptedModel, board: Switchboard
) -> None:
    """That it took the journal is its second entry, and says which business and line it is."""
    ringing = rung(board)
    async with calling() as call:
        await call.answer()
        ringing.release()
        first, second, *_, last = await call.hang_up()
    assert isinstance(first, Opened)
    assert isinstance(second, HandedOver)
    assert (second.business, second.line) == ("riverside_clinic", "+12025550142")
    assert isinstance(last, Ended)


async def test_a_job_that_comes_too_late_leaves_call_and_record_alone(
    calling: Calls, board: Switchboard
) -> None:
    """The caller gave up and the gateway has written so: nobody speaks, and nothing is added."""
    ringing = rung(board)
    ringing.end(Ending(reason=EndReason.ABANDONED, at=SystemClock().now()))
    size = ringing.path.stat().st_size
    async with calling() as call:
        await call.job.answer()
        assert await asyncio.wait_for(call.job.over, 20) == "taken"
        assert not call.phone.sound.is_set()
    assert ringing.path.stat().st_size == size


@pytest.mark.parametrize("same", [False, True], ids=["another home", "our own"])
async def test_the_job_says_where_its_journal_is_when_the_gateway_cannot_see_it(
    calling: Calls, model: ScriptedModel, board: Switchboard, *, same: bool
) -> None:
    """Only then the others in the room see an attribute of it."""
    gateway = board.home if same else Home(board.home.root / "other").made()
    async with calling(attributes={**PHONE, "thirdring.home": gateway.id}) as call:
        await call.answer()
        await asyncio.wait_for(call.phone.sound.wait(), 20)
        agent = call.job.ctx.room.local_participant
        seen = call.phone.room.remote_participants[agent.identity].attributes
        await call.hang_up()
    assert seen.get("thirdring.journal") == (None if same else board.home.id)
