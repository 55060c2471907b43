"""Plays one scenario: the worker's own answering, tools and store, in a folder of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from local.scenarios import Keys, Scenario, ToolOutcome
from local.simulate.aftermath import Aftermath
from local.simulate.callers import Caller
from local.simulate.world import NUMBER, World, settings_of, what_is_known, what_was_made
from local.talk.terminal_call import TypedCall, typed_call
from sip.answering import Switchboard
from thirdring import journal
from thirdring.calls import EndReason
from thirdring.errors import PhoneError
from thirdring.home import Home
from thirdring.record import Record, build
from thirdring.store.sqlite import SqliteStore
from thirdring.watching import Happening, IsRefused
from thirdring.workflow import Workflow
from tools.declared import declared_tools

__all__ = ["CallFailed", "Played", "play"]

_ANSWER_SECONDS: Final = 60.0
_HANG_UP_SECONDS: Final = 5.0
_RECALL_SECONDS: Final = 10.0
"""What is known of the caller decides what must be true afterwards, also on a busy machine."""


class CallFailed(PhoneError):
    """The simulated call could not be made, or went no further."""


@dataclass(frozen=True)
class Played:
    """A call that was simulated.

    Attributes:
        said: The caller's lines.
    """

    aftermath: Aftermath
    record: Record
    said: tuple[str, ...]


@dataclass
class _ScenarioClock:
    """Starts at the scenario's time and goes on from there."""

    starts_at: datetime
    _began: float = field(default_factory=time.monotonic)

    def now(self) -> datetime:
        """Return what a clock in the scenario would show."""
        return self.starts_at + timedelta(seconds=time.monotonic() - self._began)


@dataclass
class _Ear:
    """Hears the agent: the screen of a typed call."""

    heard: list[str] = field(default_factory=list)
    refused: str | None = None

    def words(self, text: str) -> None:
        self.heard.append(text)

    def end_of_words(self) -> None:
        self.heard.append(" ")

    def fixed_line(self, text: str) -> None:
        self.heard.append(f"{text} ")

    def happening(self, happening: Happening) -> None:
        if isinstance(happening, IsRefused):
            self.refused = happening.message

    def take(self) -> str:
        """Return what was said since the last time."""
        text = " ".join("".join(self.heard).split())
        self.heard.clear()
        return text


async def play(
    scenario: Scenario,
    workflow: Workflow,
    caller: Caller,
    *,
    folder: Path,
    workflows: Mapping[str, Workflow],
) -> Played:
    """Make the call of a scenario; the agent's model is that of `models.serving`.

    Args:
        folder: An empty one, for configuration, journal and store.
        workflows: All that there are.

    Raises:
        ConfigError: The scenario's business is not what `thirdring.yaml` takes.
        CallFailed: Nobody answered, or there was no answer to a line.
        PhoneError: The model that plays the caller does not answer.
    """
    userdata = scenario.userdata
    settings = settings_of(userdata, workflow, folder, workflows)
    business, home = settings.businesses[0], Home(folder)
    clock = _ScenarioClock(userdata.now)
    board = Switchboard(settings, workflows, home, clock, declared_tools, _RECALL_SECONDS)
    ear = _Ear()
    async with SqliteStore(home.store) as store:
        world = World(userdata, business, store)
        errand = await world.prepare(workflow.name)
        await world.pass_line(0)
        told = {"line": NUMBER, **({} if errand is None else {"errand": errand})}
        dispatched = userdata.metadata.model_copy(update=told)
        async with typed_call(
            board,
            ear,
            metadata=dispatched.model_dump_json(exclude_none=True),
            caller=userdata.caller,
        ) as call:
            said, answers = await _converse(call, caller, ear, world)
            if call.ending is None:
                call.hang_up()
        record = _record(home)
        memory, opted_out = await what_is_known(store, userdata.caller)
        aftermath = Aftermath(
            tools=tuple(
                ToolOutcome(name=use.name, refused=use.error is not None)
                for use in record.tool_uses
            ),
            ended=record.ending.reason is EndReason.COMPLETED,
            rows=await what_was_made(store, record.call_id, business.time_zone),
            memory=memory,
            opted_out=opted_out,
            errand=await world.errand(errand),
            outcome=record.outcome,
            answers=answers,
        )
    _raise_failure(record, ear, answers)
    return Played(aftermath, record, said)


async def _converse(
    call: TypedCall, caller: Caller, ear: _Ear, world: World
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the caller's lines and what was answered to each, the greeting first."""
    await _answered(call, None)
    said: list[str] = []
    answers = [ear.take()]
    while not call.over.is_set():
        line = await caller.next(answers[-1])
        if line is None or call.over.is_set():
            break
        said.append(f"[{line.keys}]" if isinstance(line, Keys) else line)
        await _answered(call, line)
        answers.append(ear.take())
        await world.pass_line(len(said))
    return tuple(said), tuple(answers)


async def _answered(call: TypedCall, line: str | Keys | None) -> None:
    """Say a line, and wait until the agent has nothing more to say to it."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            if isinstance(line, Keys):
                for digit in line.keys:
                    call.live.digit(digit)
            elif line is not None and (problem := await call.say(line)):
                raise CallFailed(f"no answer to {line!r}: {problem}")
            await call.greeted()  # of several agents the next one speaks by itself
    except TimeoutError:
        raise CallFailed(f"no answer to {line!r} within {_ANSWER_SECONDS:.0f} s") from None


def _record(home: Home) -> Record:
    (path,) = home.journals.glob("*.jsonl")
    return build(list(journal.read(path).entries))


def _raise_failure(record: Record, ear: _Ear, answers: Sequence[str]) -> None:
    if record.ending.reason in (EndReason.MODEL_FAILED, EndReason.NOT_IN_SERVICE):
        raise CallFailed(f"{record.ending.reason}: {record.ending.detail or ear.refused}")
    if record.faults and not any(answers):
        raise CallFailed(f"the agent's model says nothing: {record.faults[0].message}")
