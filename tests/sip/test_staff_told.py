"""From what is said in a call to the phones of those who must know."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.realtime.brain import Act, Call, Prompt, Say
from local.talk.terminal_call import typed_call
from sip.answering import Switchboard
from tests.peers.couriers import running
from tests.peers.endpoint import Endpoint, serving
from tests.peers.scripted_model import ScriptedModel, scripted_model
from tests.peers.staff import staffed
from tests.samples import business
from tests.sip.test_caller_memory import Silence
from thirdring import workflow
from thirdring.clock import SystemClock
from thirdring.home import Home
from thirdring.settings import Line, Settings

LINE = Line(number="+12025550142", workflow="home_service")
JOB = {"service": "a tap drips", "address": "12 Oak Street", "name": "Ann Smith"}
EMERGENCY = {"service": "a pipe has burst", "address": "12 Oak Street", "urgent": True}


@dataclass
class Dispatcher:
    """Writes a job card, an urgent one when a pipe has burst."""

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        last = prompt.items[-1] if prompt.items else None
        if last is None or last.kind != "message" or last.role != "user":
            yield Say("Thank you.")
        elif "burst" in last.text:
            yield Call("note_job", json.dumps(EMERGENCY))
        else:
            yield Call("note_job", json.dumps(JOB))

    def foresee(self, prompt: Prompt) -> str | None:
        del prompt
        return None


@pytest.fixture
async def dispatcher(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedModel]:
    """Start a model that knows what to do."""
    async with scripted_model(seconds_per_character=0, brain=Dispatcher()) as running_model:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", running_model.server.url)
        yield running_model


def plumber(folder: Path, phone: Endpoint) -> Switchboard:
    """Return a business whose Dana is told on this phone."""
    address = phone.url.replace("http://", "json://")
    trade = staffed(business(), dana=address).model_copy(update={"lines": (LINE,)})
    settings = Settings(businesses=(trade,), default_line=LINE.number)
    return Switchboard(settings, workflow.discover(), Home(folder), SystemClock())


def titles(phone: Endpoint) -> list[str]:
    return [json.loads(arrival.body)["title"] for arrival in phone.arrivals]


async def test_the_job_card_is_pushed_when_the_call_is_over(
    tmp_path: Path, dispatcher: ScriptedModel
) -> None:
    """Not before, and once."""
    async with serving() as phone:
        board = plumber(tmp_path, phone)
        async with running(board.home, board.settings):
            async with typed_call(board, Silence(), metadata="", caller="+12025550199") as call:
                await call.greeted()
                assert await call.say("My tap drips. I am Ann Smith of 12 Oak Street.") is None
                assert phone.arrivals == []
                call.hang_up()
            await phone.wait(1)
        assert titles(phone) == ["Job: a tap drips, 12 Oak Street"]


async def test_an_emergency_is_told_while_the_caller_is_on_the_line(
    tmp_path: Path, dispatcher: ScriptedModel
) -> None:
    """The call goes on meanwhile."""
    async with serving() as phone:
        board = plumber(tmp_path, phone)
        async with (
            running(board.home, board.settings),
            typed_call(board, Silence(), metadata="", caller="+12025550199") as call,
        ):
            await call.greeted()
            assert await call.say("A pipe has burst!") is None
            await phone.wait(1)
            assert call.ending is None
        assert titles(phone)[0] == "URGENT: a pipe has burst, 12 Oak Street"
