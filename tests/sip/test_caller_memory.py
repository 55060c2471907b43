"""A caller who calls again and again is known, each time by all that they have said."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.realtime.brain import Act, Call, Prompt, Say
from local.talk.terminal_call import typed_call
from sip.answering import Switchboard
from tests.peers.scripted_model import ScriptedModel, scripted_model
from tests.samples import business
from thirdring import journal, recollection, workflow
from thirdring.clock import SystemClock
from thirdring.courier import run
from thirdring.home import Home
from thirdring.journal import Entry, ModelFault
from thirdring.settings import Settings
from thirdring.watching import Happening

CALLER = "+12025550199"
CALLS = 12


@dataclass
class RememberingBrain:
    """Remembers what the caller says, word for word, and then says so."""

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        last = prompt.items[-1] if prompt.items else None
        if last is None or last.kind != "message" or last.role != "user":
            yield Say("Hello." if last is None else "I will know.")
        else:
            yield Call("remember_caller", json.dumps({"fact": last.text}))

    def foresee(self, prompt: Prompt) -> str | None:
        del prompt
        return None


@dataclass
class Silence:
    """A screen that nobody looks at."""

    shown: list[str] = field(default_factory=list)

    def words(self, text: str) -> None:
        self.shown.append(text)

    def end_of_words(self) -> None:
        pass

    def fixed_line(self, text: str) -> None:
        self.shown.append(text)

    def happening(self, happening: Happening) -> None:
        pass


@pytest.fixture
async def remembering(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedModel]:
    """Start a model that remembers everything."""
    async with scripted_model(seconds_per_character=0, brain=RememberingBrain()) as running:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", running.server.url)
        yield running


@pytest.fixture
def clinic(tmp_path: Path) -> Switchboard:
    """Return a clinic with one line."""
    settings = Settings(businesses=(business(),), default_line="+12025550142")
    return Switchboard(settings, workflow.discover(), Home(tmp_path), SystemClock())


async def call(
    clinic: Switchboard, model: ScriptedModel, *lines: str, caller: str | None = CALLER
) -> str:
    """Call, say something, hang up, have the record made; return what the model was told."""
    model.prompts.clear()
    async with typed_call(clinic, Silence(), metadata="", caller=caller) as talking:
        await talking.greeted()
        for line in lines:
            assert await talking.say(line) is None
        talking.hang_up()
    await run(clinic.home, clinic.settings, once=True)
    return model.prompts[0].instructions


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time: only what is found matters."""
    monkeypatch.setattr(recollection, "LIMIT_SECONDS", 20.0)


@pytest.mark.usefixtures("patient")
async def test_over_twelve_calls_nothing_is_lost(
    clinic: Switchboard, remembering: ScriptedModel
) -> None:
    """Each call begins with what all before it have told, and that they were."""
    facts = [f"I have lived in {number} places." for number in range(1, CALLS + 1)]
    for number, fact in enumerate(facts):
        told = await call(clinic, remembering, fact)
        assert [known for known in facts if f'"{known}"' in told] == facts[:number]
        assert ('"Called on ' in told) == (number > 0)


@pytest.mark.usefixtures("patient")
async def test_somebody_else_is_not_taken_for_them(
    clinic: Switchboard, remembering: ScriptedModel
) -> None:
    """Neither another number nor a hidden one."""
    await call(clinic, remembering, "I have a dog.")
    assert "I have a dog." not in await call(clinic, remembering, caller="+12025550198")
    assert "I have a dog." not in await call(clinic, remembering, caller=None)
    assert "I have a dog." in await call(clinic, remembering)


async def test_a_call_goes_on_without_a_memory(
    clinic: Switchboard, remembering: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal says why the caller was not known."""
    monkeypatch.setattr(recollection, "LIMIT_SECONDS", 0.0)
    told = await call(clinic, remembering)
    assert "nothing" in told
    (path,) = clinic.home.archive.glob("*.jsonl")
    entries: list[Entry] = list(journal.read(path).entries)
    (fault,) = [entry for entry in entries if isinstance(entry, ModelFault)]
    assert (fault.source, fault.recoverable) == ("caller memory", True)
    assert fault.message == "the store did not answer within 0 ms"
