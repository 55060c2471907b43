"""One run: calls come and go, and at random times something that serves them is killed."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import psutil  # type: ignore[import-untyped]  # it ships no types

from local.caller.errors import CallerError
from local.caller.script import Script
from local.chaos.field import Field
from local.chaos.ledger import Balance, Call, Door, Kill, Target, balance
from local.chaos.phones import Called, Patience, call_by_room, call_by_sip, speak_by_sip
from local.chaos.receiver import Phase

__all__ = ["FULL", "QUICK", "SPOKEN", "Plan", "Progress", "storm"]

_SETTLE_SECONDS = 60.0
_RINGS_SECONDS = 20.0
_KILLERS = 3
_PROGRAMS: tuple[Target, ...] = ("worker", "gateway", "all")
_PHASES: tuple[Phase, ...] = ("head", "body", "answered")


@dataclass(frozen=True)
class Plan:
    """What is to happen; the same seed makes the same plan, though never the same timing.

    Attributes:
        calls: At least so many are made, and as many more as the kills need.
        at_once: Callers that call again as soon as they have hung up.
        kills: How many of each.
        by_sip: The share of calls that come through the gateway.
        pause: Mean time between two kills of worker, gateway or everything, in seconds.
        courier_pause: That between a start of the courier and the next kill.
    """

    calls: int
    at_once: int
    kills: dict[Target, int]
    by_sip: float = 0.4
    pause: float = 4.0
    courier_pause: float = 0.3
    talks: tuple[float, float] = (0.5, 6.0)
    spoken: Script | None = None


_SPOKEN = Script.model_validate(
    {
        "steps": [
            {"wait": {"silence_ms": 700}},
            {"say": "What are your opening hours?"},
            {"wait": {"silence_ms": 900}},
            {"say": "Where are you?"},
            {"wait": {"silence_ms": 900}},
            {"hang_up": True},
        ]
    }
)

QUICK = Plan(
    90,
    5,
    {"job": 72, "courier": 20, "worker": 2, "gateway": 2, "all": 1},
    talks=(0.5, 4.0),
)
FULL = Plan(
    950,
    6,
    {"job": 500, "courier": 200, "worker": 30, "gateway": 30, "all": 15},
    pause=8,
    courier_pause=2.5,
)
SPOKEN = Plan(
    50,
    3,
    {"job": 15, "courier": 10, "worker": 3, "gateway": 2},
    by_sip=1.0,
    pause=20,
    courier_pause=10,
    talks=(0.5, 16.0),
    spoken=_SPOKEN,
)

Progress = Callable[[int, int], None]
"""Told how many kills and calls there were."""


@dataclass
class _Storm:
    plan: Plan
    site: Field
    random: Random
    progress: Progress
    calls: list[Call] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    open: dict[str, float] = field(default_factory=dict)
    chosen: set[int] = field(default_factory=set)
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(200))
    killing: bool = True

    def note(
        self,
        target: Target,
        at: float,
        journals: frozenset[str] = frozenset(),
        *,
        when: str = "",
        processes: int = 1,
    ) -> None:
        self.kills.append(Kill(target, at, journals, when, processes))
        self.progress(len(self.kills), len(self.calls))

    # Calls

    async def keep_calling(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self.plan.at_once):
                group.create_task(self._one_after_the_other())

    async def _one_after_the_other(self) -> None:
        while self.killing or len(self.calls) + len(self.open) < self.plan.calls:
            if not self.serving.is_set() and self.random.random() < 0.8:
                await self.serving.wait()
            await self._call()
            await asyncio.sleep(self.random.uniform(0, 0.2))

    async def _call(self) -> None:
        caller = f"+1202555{next(self.numbers):04d}"
        by_sip = self.random.random() < self.plan.by_sip
        patience = self._patience()
        door: Door = "room"
        begun_at = self.open[caller] = time.time()
        try:
            if self.plan.spoken is not None:
                door = "spoken"
                called = await speak_by_sip(self.site.target, caller, self.plan.spoken)
            elif by_sip:
                door = "sip"
                called = await call_by_sip(self.site.target, caller, patience)
            else:
                environ, number = self.site.stack.environ, self.site.stack.number
                called = await call_by_room(environ, caller, number, patience)
        except CallerError as error:
            called = Called(begun_at, None, time.time(), rang=False, refused=str(error))
        finally:
            del self.open[caller]
        self.calls.append(
            Call(caller, door, begun_at, called.answered_at, called.over_at, called.rang)
        )
        self.progress(len(self.kills), len(self.calls))

    def _patience(self) -> Patience:
        # One in eight gives up before long; the others wait, or a machine that is too slow would
        # do nothing but begin with calls that are over.
        hasty = self.random.random() < 1 / 8
        rings = self.random.uniform(0.1, 2.0) if hasty else _RINGS_SECONDS
        return Patience(rings, self.random.uniform(*self.plan.talks))

    # Kills

    async def kill_programs_in_turn(self) -> None:
        """Kill worker, gateway and everything, one after the other, in a random order."""
        targets: list[Target] = [
            target for target in _PROGRAMS for _ in range(self.plan.kills.get(target, 0))
        ]
        self.random.shuffle(targets)
        for target in targets:
            await asyncio.sleep(self.random.expovariate(1 / self.plan.pause))
            if target == "all":
                await self._kill_everything()
            else:
                await self._kill_program(target)

    async def kill_jobs(self) -> None:
        """Kill jobs at any moment of their calls, several at it at one time."""
        async with asyncio.TaskGroup() as group:
            for killer in range(_KILLERS):
                count = self.plan.kills.get("job", 0)
                group.create_task(self._kill_some(len(range(killer, count, _KILLERS))))

    async def _kill_some(self, count: int) -> None:
        while count:
            count -= await self._kill_job()

    async def kill_courier_again_and_again(self) -> None:
        """Kill the courier at random times, and whenever the receiver says."""
        for number in range(self.plan.kills.get("courier", 0)):
            await asyncio.sleep(self.random.uniform(0, 2 * self.plan.courier_pause))
            if number % 2:
                await self._ambush(_PHASES[number // 2 % len(_PHASES)])
            else:
                self._kill_courier("")
            await self.site.programs["courier"].revive()

    async def _kill_job(self) -> bool:
        """Choose a job that has just begun, wait, and kill it; False when its call was over."""
        while not (fresh := self.site.jobs().keys() - self.chosen):  # noqa: ASYNC110 - other processes decide
            await asyncio.sleep(0.02)
        pid = self.random.choice(sorted(fresh))
        self.chosen.add(pid)
        await asyncio.sleep(self.random.uniform(0, self.plan.talks[1] / 2))
        held = self.site.jobs().get(pid)
        if held is None:
            return False
        with suppress(ProcessLookupError):
            at = time.time()
            os.kill(pid, signal.SIGKILL)
            self.note("job", at, held)
            return True
        return False

    async def _kill_program(self, target: Target) -> None:
        self.serving.clear()
        self.note(target, self.site.programs[target].kill())
        await self.site.programs[target].revive()
        self.serving.set()

    async def _kill_everything(self) -> None:
        self.serving.clear()
        names = ("worker", "courier", "gateway")
        jobs = self.site.programs["worker"].children()
        at = time.time()
        for name in names:
            self.site.programs[name].kill()
        for job in jobs:
            with suppress(psutil.NoSuchProcess):
                job.kill()
        self.note("all", at, processes=len(names) + len(jobs))
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self.site.programs[name].revive())
        self.serving.set()

    async def _ambush(self, phase: Phase) -> None:
        done = asyncio.Event()

        def strike() -> None:
            self._kill_courier(phase)
            done.set()

        self.site.receiver.ambushes.append((phase, strike))
        await done.wait()

    def _kill_courier(self, when: str) -> None:
        self.note("courier", self.site.programs["courier"].kill(), when=when)


async def storm(plan: Plan, field: Field, seed: int, progress: Progress) -> Balance:
    """Run the plan and return its balance.

    Raises:
        PartError: A program did not come up again.
    """
    run = _Storm(plan, field, Random(seed), progress)
    run.serving.set()
    async with asyncio.TaskGroup() as group:
        calling = group.create_task(run.keep_calling())
        async with asyncio.TaskGroup() as kills:
            kills.create_task(run.kill_jobs())
            kills.create_task(run.kill_programs_in_turn())
            kills.create_task(run.kill_courier_again_and_again())
        run.killing = False
        await calling
    return await _balanced(run)


async def _balanced(run: _Storm) -> Balance:
    """Return the balance as soon as every record is there, or when they have had their time."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        outages = run.site.programs["courier"].outages
        found = balance(run.calls, run.kills, run.site.said(), run.site.receiver.received, outages)
        if not found.lost or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.2)
