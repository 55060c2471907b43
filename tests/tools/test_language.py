"""The language of a call, with the session that the worker would build."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import AgentSession
from livekit.agents.voice.run_result import RunResult

from local.realtime.brain import Act, Call, Say
from tests.peers.acting_brain import ActingBrain
from tests.peers.scripted_model import scripted_model
from tests.samples import LINE, business, opened
from thirdring import session, workflow
from thirdring.facts import facts_of
from thirdring.metadata import Metadata
from thirdring.session import PhoneAgent
from thirdring.settings import Business
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from tools.declared import own_tools

CLINIC = workflow.discover()["patient_questions"]
WRITER = "gpt-live-transcribe"
"""Not the default, so that it must be the line's."""
ON_LINE = LINE.model_copy(update={"transcription_model": WRITER})
Heard = list[dict[str, Any]]
Start = Callable[..., AbstractAsyncContextManager[tuple[AgentSession[CallState], Heard]]]


def speaking(*languages: str) -> Business:
    """Return a business that speaks these."""
    return business().model_copy(update={"languages": languages})


def switch(language: str) -> Call:
    """Return what a model calls."""
    return Call("switch_language", json.dumps({"language": language}))


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return a call whose model acts as told, and how its caller is written down, in order."""

    @asynccontextmanager
    async def start(
        of: Business, *acts: Act
    ) -> AsyncIterator[tuple[AgentSession[CallState], Heard]]:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        heard: Heard = []

        def note(event: dict[str, Any]) -> None:
            if event["type"] == "session.updated":
                heard.append(event["session"]["audio"]["input"]["transcription"])

        async with (
            SqliteStore(tmp_path / "store.db") as store,
            scripted_model(seconds_per_character=0, brain=ActingBrain(*acts)) as model,
        ):
            monkeypatch.setenv("OPENAI_BASE_URL", model.server.url)
            state = CallState(business=of, line=ON_LINE, leg=opened().leg, store=store)
            made = session.agent_session(ON_LINE, CLINIC, state)
            agent = PhoneAgent(instructions="Speak.", tools=list(own_tools(state)))
            agent.answered.set()
            async with made:
                await made.start(agent, record=False)
                agent.realtime_llm_session.on("openai_server_event_received", note)
                yield made, heard
            await made.llm.aclose()  # type: ignore[union-attr]  # it has one

    return start


async def results(made: AgentSession[CallState]) -> list[tuple[str, bool]]:
    """Return what the model heard from its tools after the caller's words; whether as an error."""
    async with asyncio.timeout(20):
        result: RunResult[None] = await made.run(user_input="...")
    outputs = [event.item for event in result.events if event.type == "function_call_output"]
    return [(item.output, item.is_error) for item in outputs]


async def test_the_caller_is_written_down_in_the_new_language(talk: Start) -> None:
    """The transcription changes on the wire, and the model is told what to speak."""
    several = speaking("en", "es-MX", "fr")
    async with talk(several, switch("es-MX"), Say("Claro.")) as (made, heard):
        ((output, is_error),) = await results(made)
        assert not is_error
        assert output.startswith("From now on speak Spanish only")
        # The update was sent before the result, and the server has answered that.
        assert (heard[-1]["language"], heard[-1]["model"]) == ("es", WRITER)


async def test_another_language_is_refused_by_name(talk: Start) -> None:
    """The model hears which can be spoken, and nothing changes."""
    several = speaking("en", "es")
    async with talk(several, switch("ru"), Say("Sorry.")) as (made, heard):
        ((output, is_error),) = await results(made)
    assert is_error
    assert "English and Spanish" in output
    assert all(one.get("language") is None for one in heard)


@pytest.mark.parametrize(
    ("languages", "hint"),
    [(("en",), "en"), (("pt-BR",), "pt"), (("en-US", "en-GB"), "en"), (("en", "es"), None)],
)
async def test_the_first_words_are_heard_in_the_languages_of_the_business(
    talk: Start, languages: tuple[str, ...], hint: str | None
) -> None:
    """The line's model writes them down; it is told one language, of several it finds out which."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def note(event: dict[str, Any]) -> None:
        if event["type"] == "session.updated":
            told.put_nowait(event["session"]["audio"]["input"]["transcription"])

    async with talk(speaking(*languages)) as (made, _heard):
        assert isinstance(made.llm, session.PhoneRealtimeModel)
        connection = made.llm.session()
        connection.on("openai_server_event_received", note)
        async with asyncio.timeout(20):
            transcription = await told.get()
            assert (transcription.get("language"), transcription["model"]) == (hint, WRITER)
        await connection.aclose()


@pytest.mark.parametrize("languages", [("en",), ("en-US", "en-GB")])
async def test_a_business_of_one_language_has_no_switch(
    tmp_path: Path, languages: tuple[str, ...]
) -> None:
    """The model cannot call what would change nothing."""
    async with SqliteStore(tmp_path / "store.db") as store:
        state = CallState(business=speaking(*languages), line=LINE, leg=opened().leg, store=store)
        assert own_tools(state) == []


@pytest.mark.parametrize(
    ("languages", "rule"),
    [
        (("en",), "English only"),
        (("es", "en"), "Spanish, or English once `switch_language` has changed to it"),
        (("en", "en-GB"), "English only"),
    ],
)
def test_the_instructions_say_what_to_speak(languages: tuple[str, ...], rule: str) -> None:
    """In the fact that the rules for every workflow use."""
    of = speaking(*languages)
    now = opened().at
    facts = facts_of(of, LINE, opened().leg, Metadata(), now=now)
    assert facts["spoken_languages"] == rule
    assert "{{ spoken_languages }}" in workflow.instructions(CLINIC)
