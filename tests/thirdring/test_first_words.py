"""What a caller hears before the agent's first word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from thirdring import first_words
from thirdring.first_words import FirstWords
from thirdring.fixed_lines import FixedLine
from thirdring.session import PhoneAgent

HANG = 10.0


@dataclass
class Caller:
    """Whoever hears fixed lines; each is over when `said` is set."""

    agent: PhoneAgent = field(default_factory=lambda: PhoneAgent(instructions="", tools=[]))
    lines: asyncio.Queue[FixedLine] = field(default_factory=asyncio.Queue)
    said: asyncio.Event = field(default_factory=asyncio.Event)
    given_up: list[str] = field(default_factory=list)

    async def play(self, line: FixedLine) -> None:
        self.lines.put_nowait(line)
        await self.said.wait()

    async def hears(self) -> FixedLine:
        """Return the next line."""
        return await asyncio.wait_for(self.lines.get(), HANG)


@pytest.fixture
def caller() -> Caller:
    return Caller()


@asynccontextmanager
async def watching(caller: Caller, *, connecting: bool) -> AsyncIterator[FirstWords]:
    words = FirstWords(caller.agent, caller.play, caller.given_up.append)
    watch = asyncio.create_task(words.watch(connecting=connecting))
    yield words
    await asyncio.wait_for(watch, HANG)


async def test_a_model_in_time_leaves_nothing_to_say(caller: Caller) -> None:
    """The caller hears the agent, and nothing before it."""
    async with watching(caller, connecting=True) as words:
        caller.agent.begun.set()
        words.line_opened()
        assert caller.agent.answered.is_set()
        words.heard.set()
    assert caller.lines.empty()


async def test_a_caller_is_told_that_they_are_being_connected(caller: Caller) -> None:
    """The agent's words wait until the line was said, although the phone is answered by it."""
    async with watching(caller, connecting=True) as words:
        assert await caller.hears() is FixedLine.CONNECTING
        words.line_opened()
        caller.agent.begun.set()
        assert not caller.agent.answered.is_set()
        caller.said.set()
        await asyncio.wait_for(caller.agent.answered.wait(), HANG)
        words.heard.set()
    assert caller.lines.empty()
    assert caller.given_up == []


async def test_without_the_wish_a_phone_rings_on(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is said until the line is open."""
    monkeypatch.setattr(first_words, "_CONNECTING_SECONDS", 0.0)
    async with watching(caller, connecting=False) as words:
        words.heard.set()
        words.line_opened()
    assert caller.lines.empty()


async def test_a_model_that_never_speaks_is_given_up(
    caller: Caller, set_patience: Callable[[float], None]
) -> None:
    """After one more line, and with a reason."""
    set_patience(0.01)
    caller.said.set()
    async with watching(caller, connecting=True) as words:
        assert await caller.hears() is FixedLine.CONNECTING
        words.line_opened()
        assert await caller.hears() is FixedLine.ONE_MOMENT
    assert caller.given_up == ["the model did not begin to speak"]


@pytest.fixture
def set_patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what makes every wait as long as it says."""

    def set_all(seconds: float) -> None:
        for name in ("_CONNECTING_SECONDS", "_FIRST_SOUND_SECONDS", "_LAST_CHANCE_SECONDS"):
            monkeypatch.setattr(first_words, name, seconds)

    return set_all
