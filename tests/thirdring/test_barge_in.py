"""A caller who speaks before the reply to a tool's result is heard is answered at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from livekit.agents import AgentSession, RunContext, function_tool
from livekit.agents.voice import SpeechHandle

from tests.peers.told_model import Ear, ToldModel, told_model
from tests.samples import LINE, SetClock, business, opened
from thirdring import session
from thirdring.agents import first_agent
from thirdring.journal import Entry, ToolUsed
from thirdring.recorder import Recorder
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from thirdring.workflow import Workflow
from tools.guard import guarded

FIRST, NEXT = 1000, 2000
"""Levels of the reply to the result, and of the answer to what the caller has said since."""


@dataclass
class Desk:
    """A call that can look one thing up, and what came of it."""

    model: ToldModel
    session: AgentSession[CallState]
    ear: Ear = field(default_factory=Ear)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    found: asyncio.Event = field(default_factory=asyncio.Event)
    looked_up: int = 0
    entries: list[Entry] = field(default_factory=list)
    speeches: list[SpeechHandle] = field(default_factory=list)

    async def caller_begins(self) -> None:
        """Let the caller speak, and wait until the session knows it."""
        speaking = asyncio.Event()
        self.session.once("user_state_changed", lambda _event: speaking.set())
        await self.model.caller_begins()
        async with asyncio.timeout(20):
            await speaking.wait()

    async def asked_for_the_reply(self) -> None:
        """Look up, and ask the model what to say."""
        self.found.set()
        await self.model.uses("look_up")
        await self.model.gets("response.create")

    async def hears_next(self, where: str, seconds: float = 0.3) -> None:
        """Let the caller fall silent and be answered; print how long that was held back."""
        began = asyncio.get_running_loop().time()
        await self.model.caller_ends()
        await self.model.answers(NEXT, seconds)
        held = await self.ear.hears(NEXT) - began
        print(f"held back {where}: {held * 1000:.0f} ms")  # noqa: T201 - noisy machine

    async def is_whole(self) -> None:
        """Check that the result is known and journaled, once, and no reply to it is heard."""
        told = await self.model.gets("conversation.item.create")
        await self.model.has_read_all(self.session.current_agent.realtime_llm_session)
        assert self.model.of("conversation.item.create") == [told]
        assert (told["item"]["type"], told["item"]["output"]) == ("function_call_output", "twelve")
        uses = [entry.use.result for entry in self.entries if isinstance(entry, ToolUsed)]
        assert (self.looked_up, uses) == (1, ["twelve"])
        assert set(self.ear.heard) == {NEXT}


Opened = Callable[[], AbstractAsyncContextManager[Desk]]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return a call whose model waits for what it is told."""

    @asynccontextmanager
    async def start() -> AsyncIterator[Desk]:
        @function_tool
        @guarded
        async def look_up(_ctx: RunContext[CallState]) -> str:
            """Look something up, until the test says that it is found."""
            it.looked_up += 1
            it.began.set()
            await it.found.wait()
            return "twelve"

        workflow = Workflow(name="desk", greeting="Hello.", tools=(look_up,))
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        async with SqliteStore(tmp_path / "store.db") as store, told_model() as model:
            monkeypatch.setenv("OPENAI_BASE_URL", model.url)
            state = CallState(business=business(), line=LINE, leg=opened().leg, store=store)
            started = session.agent_session(LINE, workflow, state)
            it = Desk(model, started)
            Recorder(it.entries.append, SetClock()).attach(started)
            started.on("speech_created", lambda event: it.speeches.append(event.speech_handle))
            started.output.audio = it.ear
            agent = first_agent(LINE, workflow, lambda _name: "You look things up.")
            agent.opening = None
            agent.answered.set()
            async with started:
                await started.start(agent, record=False)
                await model.gets("session.update")
                yield it
            await started.llm.aclose()  # type: ignore[union-attr]  # it has one

    return start


async def test_while_the_tool_runs(desk: Opened) -> None:
    """The next answer waits for no result."""
    async with desk() as it:
        await it.model.uses("look_up")
        await it.began.wait()
        await it.caller_begins()
        await it.hears_next("while the tool runs")
        it.found.set()
        await it.is_whole()
        assert not it.model.of("response.create")


async def test_the_result_is_told_while_a_long_answer_is_heard(
    desk: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once LiveKit waits no more for the end of that answer; it would never tell it then."""
    monkeypatch.setattr("livekit.agents.voice.speech_handle.INTERRUPTION_TIMEOUT", 0.5)
    async with desk() as it:
        await it.model.uses("look_up")
        await it.began.wait()
        await it.caller_begins()
        await it.hears_next("before a long answer", seconds=30)
        it.found.set()
        await it.is_whole()


@pytest.mark.parametrize("taken", [True, False])
async def test_while_the_server_has_not_taken_the_result(desk: Opened, taken: bool) -> None:
    """Nothing is said about the result, whether the server takes it before they end or never."""
    async with desk() as it:
        it.model.adds_items.clear()
        it.model.creates.clear()
        it.found.set()
        await it.model.uses("look_up")
        await it.model.gets("conversation.item.create")
        await it.caller_begins()
        if taken:
            it.model.adds_items.set()
            async with asyncio.timeout(20):
                await it.speeches[0]
        await it.hears_next(f"while the result is under way (taken before they end: {taken})")
        async with asyncio.timeout(20):
            await it.speeches[0]  # 5 s when it is never taken
        await it.is_whole()
        assert not it.model.of("response.create")


async def test_no_result_cancels_the_next_answer(desk: Opened) -> None:
    """It is taken while that answer is being made, which goes on."""
    async with desk() as it:
        it.model.adds_items.clear()
        it.found.set()
        await it.model.uses("look_up")
        await it.model.gets("conversation.item.create")
        await it.caller_begins()
        await it.model.caller_ends()
        await it.model.begins()
        await it.model.speaks(NEXT)
        await it.ear.hears(NEXT)
        it.model.adds_items.set()
        async with asyncio.timeout(20):
            await it.speeches[0]
        await it.is_whole()
        assert not it.model.of("response.cancel")


async def test_while_the_reply_is_asked_for(desk: Opened) -> None:
    """A reply that begins after all is cancelled by its id, and so is no other one."""
    async with desk() as it:
        it.model.creates.clear()
        await it.asked_for_the_reply()
        await it.caller_begins()
        await it.hears_next("while the reply is asked for")
        it.model.creates.set()
        late = await it.model.gets("response.cancel")
        await it.is_whole()
        assert [event["response_id"] for event in it.model.of("response.cancel")] == [
            late["response_id"]
        ]
        assert late["response_id"] == it.model.begun[-1]


async def test_after_the_reply_has_begun(desk: Opened) -> None:
    """Nothing of it is heard."""
    async with desk() as it:
        await it.asked_for_the_reply()
        await it.model.has_begun(2)
        await it.caller_begins()
        await it.hears_next("after the reply has begun")
        await it.is_whole()


async def test_what_was_asked_for_while_they_spoke_gives_way(desk: Opened) -> None:
    """The model answers them of its own accord, and the other speech waits no more."""
    async with desk() as it:
        it.model.creates.clear()
        await it.caller_begins()
        asked = it.session.generate_reply(instructions="Ask for patience.")
        await it.model.caller_ends()
        await it.model.gets("response.create")
        await it.hears_next("while something else was asked for")
        assert asked.interrupted
