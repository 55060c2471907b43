"""The local realtime server without models: it hears bursts, is told what they mean, and beeps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from local.realtime.brain import Act, Brain, Prompt
from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load_all
from local.realtime.configuration import TurnDetection
from local.realtime.reflex import ReflexEars, tone
from local.realtime.server import RealtimeServer, Settings, serve
from local.realtime.session import Engine
from local.realtime.turns import Heard, Samples

__all__ = ["BURST", "TODAY", "ScriptedModel", "scripted_model"]

TODAY = date(2026, 11, 20)
"""A Friday."""

BURST = tone(700, 0.1)
"""What a caller utters to be heard, at 24 kHz."""

_WORKFLOWS = Path(__file__).parents[2] / "workflows"


@dataclass
class _Notes:
    """What the model is told and what it was shown.

    Attributes:
        says: What the caller says with each burst, in this order.
        appended: Bytes of audio in each append that came.
        detections: How turns were to be told, for each append.
        prompts: All that each reply was decided by.
        news: Set with each append.
        may_answer: Cleared to let replies wait, as a model that thinks for ever.
        may_write: Cleared to let transcripts wait, as a slow scribe does.
    """

    says: deque[str] = field(default_factory=deque)
    appended: list[int] = field(default_factory=list)
    detections: list[TurnDetection | None] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    may_write: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class ScriptedModel(_Notes):
    """A server that listens, and its notes."""

    server: RealtimeServer = field(kw_only=True)

    async def hears(self, milliseconds: int) -> None:
        """Wait until so much more audio has come; 200 ms lie between two bursts."""
        enough = sum(self.appended) + milliseconds * 48
        async with asyncio.timeout(20):
            while sum(self.appended) < enough:
                self.news.clear()
                await self.news.wait()


class _Ears(ReflexEars):
    def __init__(self, notes: _Notes) -> None:
        super().__init__()
        self._notes = notes

    async def listen(self, pcm: bytes, detection: TurnDetection | None) -> tuple[Heard, ...]:
        self._notes.appended.append(len(pcm))
        self._notes.detections.append(detection)
        self._notes.news.set()
        return await super().listen(pcm, detection)


@dataclass(frozen=True)
class _Scribe:
    notes: _Notes

    async def transcribe(self, samples: Samples) -> str:
        del samples
        await self.notes.may_write.wait()
        return self.notes.says.popleft()


@dataclass(frozen=True)
class _Beeps:
    seconds_per_character: float

    async def say(self, sentence: str, *, speed: float = 1.0) -> bytes:
        del speed
        return tone(440, max(0.02, len(sentence) * self.seconds_per_character))

    def prepare(self, sentence: str, *, speed: float = 1.0) -> None:
        pass


@dataclass(frozen=True)
class _Brain:
    script: Brain
    notes: _Notes

    async def reply(self, prompt: Prompt) -> AsyncGenerator[Act]:
        self.notes.prompts.append(prompt)
        await self.notes.may_answer.wait()
        async with aclosing(self.script.reply(prompt)) as acts:
            async for act in acts:
                yield act

    def foresee(self, prompt: Prompt) -> str | None:
        return self.script.foresee(prompt)


@asynccontextmanager
async def scripted_model(
    *, seconds_per_character: float = 0.02, brain: Brain | None = None
) -> AsyncIterator[ScriptedModel]:
    """Serve the workflows' scripts on a free port; how long it speaks depends on the text.

    Args:
        brain: Decides in place of the scripts.
    """
    notes = _Notes()
    notes.may_answer.set()
    notes.may_write.set()
    decides = brain or ScriptBrain(load_all(_WORKFLOWS), today=lambda: TODAY)
    beeps = _Beeps(seconds_per_character)
    engine = Engine(lambda: _Ears(notes), _Scribe(notes), _Brain(decides, notes), beeps)
    async with serve(Settings(port=0), engine) as server:
        yield ScriptedModel(**vars(notes), server=server)
