"""A call to the agents of a workflow in the worker's own session, whose model acts as told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from livekit.agents import AgentSession

from local.realtime.brain import Brain
from tests.peers.scripted_model import ScriptedModel, scripted_model
from tests.samples import LINE, business, opened
from thirdring import session
from thirdring.agents import first_agent
from thirdring.settings import Line
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from thirdring.workflow import Workflow

__all__ = ["Desk", "at_desk"]

Desk = tuple[AgentSession[CallState], ScriptedModel]


@asynccontextmanager
async def at_desk(
    workflow: Workflow,
    brain: Brain,
    instructions: Callable[[str], str],
    *,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: Line = LINE,
) -> AsyncIterator[Desk]:
    """Yield a call that has been answered, and its model.

    Args:
        instructions: Of an agent, by its name.
        folder: Where its store is.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    async with (
        SqliteStore(folder / "store.db") as store,
        scripted_model(seconds_per_character=0, brain=brain) as model,
    ):
        monkeypatch.setenv("OPENAI_BASE_URL", model.server.url)
        state = CallState(business=business(), line=line, leg=opened().leg, store=store)
        started = session.agent_session(line, workflow, state)
        agent = first_agent(line, workflow, instructions)
        agent.answered.set()
        async with started:
            await started.start(agent, record=False)
            yield started, model
        await started.llm.aclose()  # type: ignore[union-attr]  # it has one
