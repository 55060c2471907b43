"""A caller whose model is slow to come hears that they are being connected."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sip.answering import Switchboard
from tests.peers.scripted_model import ScriptedModel
from tests.peers.whole_call import Calls, ending, turns
from tests.samples import LINE, business
from thirdring.calls import EndReason

pytestmark = pytest.mark.server

HEARD = 20.0
"""Seconds until a phone in the room hears what was said; a hang, not a measure."""


@pytest.fixture
def assistant(board: Switchboard) -> Switchboard:
    """Return somebody whose calls the assistant takes."""
    line = LINE.model_copy(update={"workflow": "assistant"})
    owner = business().model_copy(update={"name": "Robin Hale", "lines": (line,)})
    settings = board.settings.model_copy(update={"businesses": (owner,)})
    return replace(board, settings=settings)


async def test_a_caller_hears_that_they_are_being_connected(
    calling: Calls, model: ScriptedModel, assistant: Switchboard
) -> None:
    """While it rings and the model is silent; the greeting follows as soon as it speaks."""
    model.may_answer.clear()
    async with calling(assistant) as call:
        await call.job.answer()
        await asyncio.wait_for(call.phone.sound.wait(), HEARD)
        speaking = call.next("agent_state_changed", new_state="speaking")
        greeted = call.next("agent_state_changed", old_state="speaking", new_state="listening")
        await call.open_line()
        model.may_answer.set()
        await speaking
        await greeted
        entries = await call.hang_up()
    assert ending(entries) is EndReason.CALLER_HUNG_UP
    assert "Robin Hale" in turns(entries)[0].text


async def test_other_workflows_let_the_phone_ring(calling: Calls, model: ScriptedModel) -> None:
    """Nothing is said before the line is open, however slow the model is."""
    model.may_answer.clear()
    async with calling() as call:
        await call.job.answer()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.phone.sound.wait(), 2)
        model.may_answer.set()
        speaking = call.next("agent_state_changed", new_state="speaking")
        await call.open_line()
        await speaking
        await call.hang_up()
