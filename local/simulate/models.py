"""The agent's model in a simulated call: the workflow's script, a chat model, or OpenAI's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import aiohttp

from local.realtime.brain import Brain
from local.realtime.brain.chat import ChatBrain
from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load_own
from local.realtime.reflex import ReflexEars, ReflexScribe, ToneVoice
from local.realtime.server import ChatModel, Settings, serve
from local.realtime.session import Engine

__all__ = ["AgentModel", "serving"]

_KEY: Final = "local"


@dataclass(frozen=True)
class AgentModel:
    """What answers.

    Attributes:
        chat: None for the workflows' scripts.
        openai: OpenAI's, by the variables that its plugin reads.
    """

    chat: ChatModel | None = None
    openai: bool = False

    @property
    def scripted(self) -> bool:
        """Whether all that it says is known beforehand."""
        return self.chat is None and not self.openai


@asynccontextmanager
async def serving(
    model: AgentModel, folder: Path, today: Callable[[], date]
) -> AsyncIterator[None]:
    """Let sessions that are built meanwhile reach this model.

    Args:
        folder: That of the workflow; its scripts are there.
        today: For the scripts; asked at each turn.

    Raises:
        ConfigError: A script is wrong.
    """
    # Whatever a simulated caller books stands in a store of its own.
    apart: dict[str, str | None] = {"THIRDRING_STORE": None}
    if model.openai:
        with _environment(apart):
            yield
        return
    async with aiohttp.ClientSession() as http:
        brain: Brain
        if model.chat is not None:
            brain = ChatBrain(http, model.chat.base_url, model.chat.model, model.chat.api_key)
        else:
            brain = ScriptBrain(load_own(folder), today=today)
        # Calls are by text: there is nothing to hear and nothing to say aloud.
        engine = Engine(ReflexEars, ReflexScribe(), brain, ToneVoice())
        async with serve(Settings(port=0, api_key=_KEY), engine) as server:
            here = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": _KEY}
            with _environment({**apart, **here}):
                yield


@contextmanager
def _environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
