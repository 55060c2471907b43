"""The ways in which a call can end, and what its journal says of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest
from livekit import api, rtc

from sip import answering
from sip.answering import Switchboard
from tests.peers.scripted_model import ScriptedModel, scripted_model
from tests.peers.whole_call import PHONE, Calls, ending, turns, uses
from thirdring.calls import EndReason, Role
from thirdring.fixed_lines import FixedLine
from thirdring.journal import Answered, Ended, ModelFault

pytestmark = pytest.mark.server

HEARD = 20.0
"""Seconds until a phone in the room hears what was said; a hang, not a measure."""


async def test_the_agent_hangs_up_after_its_goodbye(calling: Calls, model: ScriptedModel) -> None:
    """The goodbye is said to its end, a tail follows, and the room is gone."""
    model.says.append("Goodbye")
    async with calling() as call:
        await call.answer()
        await call.utter()
        entries = await call.job.finish()
        assert await asyncio.wait_for(call.phone.gone, HEARD) == rtc.DisconnectReason.ROOM_DELETED
    assert ending(entries) is EndReason.COMPLETED
    last = turns(entries)[-1]
    assert (last.text.endswith("Goodbye."), last.interrupted) == (True, False)
    ended = entries[-1]
    assert isinstance(ended, Ended)
    assert ended.ending.at - last.ended_at >= timedelta(seconds=0.25)


async def test_the_stages_of_a_call_are_logged_when_it_is_over(
    calling: Calls, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Received, ready, answered, first audio, total, in that order; the model comes meanwhile."""
    async with calling() as call:
        await call.answer()
        with caplog.at_level(logging.INFO):
            await call.hang_up()
    (line,) = [record for record in caplog.records if record.name == "thirdring.stages"]
    order = ("received", "ready", "answered", "first_audio", "total")
    seconds = [vars(line)[f"{stage}_seconds"] for stage in order]
    assert seconds == sorted(seconds)
    assert seconds[0] <= vars(line)["model_connected_seconds"] <= seconds[3]
    assert str(vars(line)["model_session"]).startswith("sess_")


async def test_a_caller_who_speaks_over_the_goodbye_stays(
    calling: Calls, model: ScriptedModel
) -> None:
    """They have something to add: the call goes on until they hang up."""
    model.says.extend(["Goodbye", "What are your opening hours?"])
    async with calling() as call:
        await call.answer()
        used = call.next("function_tools_executed")
        await call.utter()
        await used
        await call.next("agent_state_changed", new_state="speaking")
        await model.hears(250)
        used = call.next("function_tools_executed")
        await call.utter()
        await used
        await call.next("agent_state_changed", old_state="speaking", new_state="listening")
        assert not call.job.over.done()
        entries = await call.hang_up()
    assert [use.name for use in uses(entries)] == ["end_call", "opening_hours"]
    assert ending(entries) is EndReason.CALLER_HUNG_UP


async def test_the_last_words_before_a_hang_up_are_kept(
    calling: Calls, model: ScriptedModel
) -> None:
    """The model has them still to write down when the caller leaves: the job waits for that."""
    model.says.append("Never mind, I will call again")
    model.may_write.clear()
    async with calling() as call:
        await call.answer()
        spoken = call.next("user_state_changed", old_state="speaking")
        await call.utter()
        await spoken
        call.job.ctx.room.on("participant_disconnected", lambda _: model.may_write.set())
        entries = await call.hang_up()
    assert ending(entries) is EndReason.CALLER_HUNG_UP
    (words,) = [turn for turn in turns(entries) if turn.role is Role.CALLER]
    assert (words.text, words.interrupted) == ("Never mind, I will call again", False)


async def test_a_scribe_that_never_writes_keeps_no_call(
    calling: Calls, model: ScriptedModel
) -> None:
    """The wait for the last words has an end."""
    model.may_write.clear()
    async with calling() as call:
        await call.answer()
        spoken = call.next("user_state_changed", old_state="speaking")
        await call.utter()
        await spoken
        entries = await asyncio.wait_for(call.hang_up(), HEARD)
    assert ending(entries) is EndReason.CALLER_HUNG_UP


async def test_a_session_that_our_side_closes_hangs_up(
    calling: Calls, model: ScriptedModel
) -> None:
    """Without a goodbye by the tool for it, the agent has hung up, and no caller hears silence."""
    async with calling() as call:
        await call.answer()
        call.session.shutdown(drain=False)
        entries = await call.job.finish()
        assert await asyncio.wait_for(call.phone.gone, HEARD) == rtc.DisconnectReason.ROOM_DELETED
    assert ending(entries) is EndReason.AGENT_HUNG_UP


@pytest.mark.parametrize("model", [0.1], indirect=True)
async def test_nobody_is_told_what_a_tool_found_after_the_call(
    calling: Calls, model: ScriptedModel
) -> None:
    """A caller who leaves between a tool and the answer is not spoken to; the slot is free."""
    model.says.append("What are your opening hours?")
    async with calling() as call:
        await call.answer()
        live = answering.live_call(call.job.ctx)
        assert live is not None

        def leave(_event: object) -> None:
            live.end(EndReason.CALLER_HUNG_UP)

        call.session.on("function_tools_executed", leave)
        await call.utter()
        entries = await call.job.finish()
    assert [use.name for use in uses(entries)] == ["opening_hours"]
    assert [turn for turn in turns(entries) if "9 AM" in turn.text] == []


async def test_the_time_limit_is_said_and_ends_the_call(
    calling: Calls, model: ScriptedModel, board: Switchboard
) -> None:
    """The agent is stopped, the line is said to its end, then the room is gone."""
    workflow = board.workflows["patient_questions"]
    short = workflow.model_copy(update={"time_limit_minutes": 0.8 / 60})
    async with calling(replace(board, workflows={workflow.name: short})) as call:
        await call.answer()
        entries = await call.job.finish()
        assert await asyncio.wait_for(call.phone.gone, HEARD) == rtc.DisconnectReason.ROOM_DELETED
    assert ending(entries) is EndReason.LIMIT_REACHED
    said = turns(entries)[-1]
    assert (said.text, said.interrupted) == (FixedLine.TIME_LIMIT.text, False)


async def test_a_model_that_fails_for_good_is_explained(
    calling: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller hears of technical difficulties, and the journal says what failed."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    async with calling() as call:
        async with scripted_model() as model:
            monkeypatch.setenv("OPENAI_BASE_URL", model.server.url)
            await call.answer()
            await call.next("agent_state_changed", new_state="listening")
            call.phone.sound.clear()
        await asyncio.wait_for(call.phone.sound.wait(), HEARD)
        entries = await call.job.finish()
    assert ending(entries) is EndReason.MODEL_FAILED
    faults = [entry for entry in entries if isinstance(entry, ModelFault)]
    assert faults[-1].recoverable is False


async def test_without_a_model_the_caller_hears_why(
    calling: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is missing ends the call with an explanation, not in silence."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    async with calling() as call:
        await call.job.answer()
        assert call.phone.sound.is_set()
        entries = await call.job.finish()
    assert ending(entries) is EndReason.MODEL_FAILED


async def test_a_model_out_of_reach_is_explained(
    calling: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens where the model should be: the caller hears so."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    async with calling() as call:
        await call.job.answer()
        await call.open_line()
        entries = await call.job.finish()
        assert call.phone.sound.is_set()
    assert ending(entries) is EndReason.MODEL_FAILED


async def test_who_leaves_while_it_rings_has_abandoned(
    calling: Calls, model: ScriptedModel
) -> None:
    """No answer was given, so nobody hung up."""
    async with calling() as call:
        await call.job.answer()
        entries = await call.hang_up()
    assert ending(entries) is EndReason.ABANDONED
    assert not [entry for entry in entries if isinstance(entry, Answered)]


async def test_a_removed_caller_is_told_from_one_who_hung_up(
    calling: Calls, model: ScriptedModel, livekit: dict[str, str]
) -> None:
    """Somebody at the console takes the caller out of the room."""
    async with calling() as call, api.LiveKitAPI() as server:
        await call.answer()
        who = api.RoomParticipantIdentity(
            room=call.phone.room.name, identity=call.phone.room.local_participant.identity
        )
        await server.room.remove_participant(who)
        entries = await call.job.finish()
    assert ending(entries) is EndReason.REMOVED


async def test_a_worker_that_stops_says_so(calling: Calls, model: ScriptedModel) -> None:
    """A job that is shut down from outside ends its call, and no room is left."""
    async with calling() as call:
        await call.answer()
        call.job.ctx.shutdown("worker stops")
        entries = await call.job.finish()
        assert await asyncio.wait_for(call.phone.gone, HEARD) == rtc.DisconnectReason.ROOM_DELETED
    assert ending(entries) is EndReason.WORKER_STOPPED


@asynccontextmanager
async def without_a_microphone(
    livekit: Mapping[str, str], name: str, kind: Literal["sip", "standard"]
) -> AsyncIterator[None]:
    """Be in the room as a caller who publishes nothing."""
    token = (
        api.AccessToken(livekit["LIVEKIT_API_KEY"], livekit["LIVEKIT_API_SECRET"])
        .with_identity("silent")
        .with_kind(kind)
        .with_attributes(PHONE)
        .with_grants(api.VideoGrants(room_join=True, room=name))
    )
    room = rtc.Room()
    await room.connect(livekit["LIVEKIT_URL"], token.to_jwt())
    try:
        yield
    finally:
        await room.disconnect()


@pytest.mark.parametrize(
    ("kind", "reason"), [("standard", EndReason.CALLER_HUNG_UP), ("sip", EndReason.ABANDONED)]
)
async def test_a_caller_who_is_not_seen_leaving_has_left(
    calling: Calls,
    model: ScriptedModel,
    livekit: dict[str, str],
    kind: Literal["sip", "standard"],
    reason: EndReason,
) -> None:
    """Of one who publishes nothing the job is told 3 s late, and may be ended before that."""
    async with calling.job() as job:
        async with without_a_microphone(livekit, calling.room, kind):
            await job.answer()
        # As when livekit-server closes the room: by the worker, which gives no reason.
        job.ctx.shutdown("parent process shutdown")
        entries = await job.finish()
    assert ending(entries) is reason
