"""Calls from the first moment of their job to a caller who is served."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from sip import answering, joining
from sip.answering import Switchboard
from tests.peers.scripted_model import ScriptedModel
from tests.peers.whole_call import PHONE, Calls, ending, turns, uses
from tests.samples import business
from thirdring.calls import EndReason, Role
from thirdring.journal import DigitPressed, Ended, LatencyMeasured, Opened, UsageCounted
from thirdring.settings import Settings

pytestmark = pytest.mark.server

GREETING = "Hello, thank you for calling Riverside Clinic. How can I help you today?"
HEARD = 20.0
"""Seconds until a phone in the room hears what was said; a hang, not a measure."""


async def test_the_greeting_waits_for_the_line_to_open(
    calling: Calls, model: ScriptedModel
) -> None:
    """It is made while the phone rings, not heard before the answer, and heard at once after it."""
    async with calling() as call:
        await call.job.answer()
        await call.next("session_usage_updated", lambda event: event.usage.model_usage)
        assert not call.phone.sound.is_set()
        await call.open_line()
        await asyncio.wait_for(call.phone.sound.wait(), HEARD)
        entries = await call.hang_up()
    assert ending(entries) is EndReason.CALLER_HUNG_UP


async def test_waits_are_measured_once(calling: Calls, model: ScriptedModel) -> None:
    """Answer, greeting and reply stand in the journal, the reply with the turn that it was for."""
    model.says.append("What are your opening hours?")
    async with calling() as call:
        await call.answer()
        await call.next("agent_state_changed", new_state="listening")
        replied = call.next("agent_state_changed", old_state="speaking", new_state="listening")
        await call.utter()
        await replied
        entries = await call.hang_up()
    waits = [entry.latency for entry in entries if isinstance(entry, LatencyMeasured)]
    assert [wait.kind for wait in waits] == ["answer", "greeting", "reply"]
    assert [turn.role for turn in turns(entries)] == [Role.AGENT, Role.CALLER, Role.AGENT]
    assert waits[2].turn_id == turns(entries)[2].id
    assert [use.name for use in uses(entries)] == ["opening_hours"]
    assert "9 AM" in turns(entries)[2].text


@pytest.mark.parametrize("model", [0.1], indirect=True)
async def test_an_interrupted_greeting_ends_where_it_was_heard(
    calling: Calls, model: ScriptedModel
) -> None:
    """Its turn says so, and holds less than was to be said."""
    model.says.append("What are your opening hours?")
    async with calling() as call:
        await call.answer()
        await model.hears(1500)
        tools = call.next("function_tools_executed")
        await call.utter()
        await tools
        entries = await call.hang_up()
    first, second = turns(entries)[:2]
    agent = first if first.role is Role.AGENT else second
    assert agent.interrupted
    assert GREETING.startswith(agent.text)
    assert len(agent.text) < len(GREETING)
    assert agent.started_at < agent.ended_at


async def test_usage_is_noted_when_it_has_changed(calling: Calls, model: ScriptedModel) -> None:
    """No total stands twice in a row, and the audio that was heard is counted too."""
    model.says.append("What are your opening hours?")
    async with calling() as call:
        await call.answer()
        replied = call.next("function_tools_executed")
        await call.utter()
        await replied
        entries = await call.hang_up()
    counted = [entry.usage for entry in entries if isinstance(entry, UsageCounted)]
    by_model = {usage.model: [u for u in counted if u.model == usage.model] for usage in counted}
    assert len(by_model) == 2
    for totals in by_model.values():
        assert all(one != other for one, other in pairwise(totals))
    assert any(usage.transcribed_seconds for usage in counted)


async def test_the_caller_is_sent_20_ms_at_a_time(calling: Calls, model: ScriptedModel) -> None:
    """Each append holds one packet's worth, 960 bytes, and turns are told as the workflow says."""
    model.says.append("Hello")
    async with calling() as call:
        await call.answer()
        item = call.next("conversation_item_added")
        await call.utter()
        await item
        await call.hang_up()
    assert set(Counter(model.appended)) == {960}
    detection = model.detections[-1]
    assert detection is not None
    assert (detection.type, detection.interrupt_response) == ("semantic_vad", True)


@pytest.mark.parametrize(
    ("attributes", "metadata", "detail"),
    [
        ({"sip.trunkPhoneNumber": "+12025550177"}, "", "sip.trunkPhoneNumber"),
        ({}, "not json", "metadata"),
    ],
)
async def test_a_call_that_no_line_takes_is_refused_aloud(
    calling: Calls, attributes: dict[str, str], metadata: str, detail: str
) -> None:
    """It hears the fixed line; the journal names no workflow, but the field."""
    async with calling(attributes=PHONE | attributes, metadata=metadata) as call:
        await call.job.answer()
        entries = await call.job.finish()
        assert call.phone.sound.is_set()
    opened, ended = entries[0], entries[-1]
    assert isinstance(opened, Opened)
    assert isinstance(ended, Ended)
    assert (opened.workflow, ended.ending.reason) == (None, EndReason.NOT_IN_SERVICE)
    assert detail in (ended.ending.detail or "")


async def test_a_call_for_an_errand_that_nobody_has_is_refused_aloud(calling: Calls) -> None:
    """What has dispatched it is at fault, not the model; the ending names the errand."""
    async with calling(attributes=PHONE, metadata='{"errand": "E-1"}') as call:
        await call.job.answer()
        entries = await call.job.finish()
        assert call.phone.sound.is_set()
    ended = entries[-1]
    assert isinstance(ended, Ended)
    assert ended.ending.reason is EndReason.NOT_IN_SERVICE
    assert "no errand E-1" in (ended.ending.detail or "")


async def test_a_second_job_leaves_the_call_alone(calling: Calls, model: ScriptedModel) -> None:
    """The call belongs to the job that opened its journal; the other one ends at once."""
    async with calling() as call:
        await call.job.answer()
        async with calling.job() as second:
            await second.answer()
            assert second.over.result() == "taken"
            await answering.finish(second.ctx)
        assert len(call.job.ctx.room.remote_participants) == 1
        await call.hang_up()


async def test_a_job_without_a_caller_ends(
    calling: Calls, board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody comes: there is no call, so there is no journal."""
    monkeypatch.setattr(joining, "_ARRIVAL_SECONDS", 0.2)
    async with calling.job() as job:
        await job.answer()
        assert job.over.result() == "nobody came"
        await answering.finish(job.ctx)
    assert not board.home.journals.exists()


async def test_keys_stand_in_the_journal(calling: Calls, model: ScriptedModel) -> None:
    """In the order in which they were pressed."""
    async with calling() as call:
        await call.answer()
        pressed: asyncio.Queue[str] = asyncio.Queue()
        call.job.ctx.room.on("sip_dtmf_received", lambda dtmf: pressed.put_nowait(dtmf.digit))
        for code, digit in ((4, "4"), (11, "#")):
            await call.phone.room.local_participant.publish_dtmf(code=code, digit=digit)
            await asyncio.wait_for(pressed.get(), HEARD)
        entries = await call.hang_up()
    assert [e.digit for e in entries if isinstance(e, DigitPressed)] == ["4", "#"]


async def test_what_is_known_of_the_caller_reaches_the_model(
    calling: Calls, model: ScriptedModel
) -> None:
    """Metadata and leg fill the instructions, and no placeholder is left."""
    metadata = '{"patient_name": "Mary Jones", "notes": "Prefers mornings."}'
    async with calling(metadata=metadata) as call:
        await call.job.answer()
        await call.next("session_usage_updated", lambda event: event.usage.model_usage)
        await call.hang_up()
    told = model.prompts[0].instructions
    for known in ("Mary Jones", "Prefers mornings.", "+12025550199", "Riverside Clinic"):
        assert known in told
    assert "{{" not in told
    assert f'"{GREETING}"' in (model.prompts[0].request or "")


async def test_what_a_business_wants_besides_is_told_last(
    calling: Calls, model: ScriptedModel
) -> None:
    """Its own words and those of its line follow the workflow's, facts filled in."""
    clinic = business()
    line = clinic.lines[0].model_copy(
        update={"instructions": "Say that parking is free.", "agent_name": "Robin"}
    )
    changed = clinic.model_copy(
        update={"instructions": "You are {{ agent_name }}.", "lines": (line,)}
    )
    board = replace(calling.board, settings=Settings(businesses=(changed,)))
    async with calling(board) as call:
        await call.job.answer()
        await call.next("session_usage_updated", lambda event: event.usage.model_usage)
        await call.hang_up()
    assert (
        model.prompts[0]
        .instructions.rstrip()
        .endswith(
            "# What Riverside Clinic wants besides\nYou are Robin.\nSay that parking is free."
        )
    )


async def test_a_hidden_caller_is_called_so(calling: Calls, model: ScriptedModel) -> None:
    """A withheld number is neither invented nor left blank."""
    async with calling(attributes=PHONE | {"sip.phoneNumber": "anonymous"}) as call:
        await call.job.answer()
        await call.next("session_usage_updated", lambda event: event.usage.model_usage)
        entries = await call.hang_up()
    assert "The call comes from a hidden number." in model.prompts[0].instructions
    assert isinstance(entries[0], Opened)
    assert entries[0].leg.caller is None
