"""The same calls, kills and receivers for a plain LiveKit worker and for ours, side by side.

The plain one is `bench/stock_agent.py`. Both are behind the same livekit-server, with the same
model; both are asked for one thing: that what was said is with the business's receiver in the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

from local.chaos.field import Field, Terms, open_field
from local.chaos.ledger import Call, Said, due_turns
from local.chaos.phones import Patience, call_by_room
from local.chaos.receiver import Receiver

__all__ = ["AT_ONCE", "CASES", "Compared", "compare"]

CASES = ("normal end", "job killed", "worker killed", "receiver takes 12 s")
AT_ONCE = 5
_SLOW_SECONDS = 12.0
_TALK_SECONDS = (6.0, 8.0)
_SPOKEN_WITHIN = 25.0
_PATIENCE = 45.0
"""An ended job of the plain worker stays until its room has gone, 20 s after the caller."""

_NUMBERS = count(1000)


@dataclass(frozen=True)
class Compared:
    """How one worker fared in one case; `lost` are turns that were final before anything ended."""

    case: str
    calls: int
    killed: int
    received: int
    due: int
    lost: int


async def compare(
    folder: Path, waves: int, seed: int, *, plain: bool, on_case: Callable[[str], None]
) -> list[Compared]:
    """Play every case to the plain worker, or to ours, each in waves of `AT_ONCE` calls.

    Raises:
        PartError: A program does not start.
    """
    random = Random(seed)
    found = []
    terms = Terms(seed=seed, idle=AT_ONCE, gateway=False, plain=plain)
    async with open_field(folder, terms) as site:
        for case in CASES:
            on_case(case)
            found.append(await _play(case, site, waves, random))
    return found


async def _play(case: str, site: Field, waves: int, random: Random) -> Compared:
    before = len(site.receiver.received)
    slow = _SLOW_SECONDS if case == CASES[3] else 0.0
    site.receiver.slow_seconds = slow
    killed = 0
    made: list[Call] = []
    cut_at: dict[str, float] = {}
    for _ in range(waves):
        hit, wave, at = await _wave(case, site, random)
        killed += hit
        made += wave
        cut_at |= {call.caller: at for call in wave}
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while len(_texts(site.receiver, before)) < len(made):  # noqa: ASYNC110 - others decide
                await asyncio.sleep(0.1)
    site.receiver.slow_seconds = 0.0
    texts = _texts(site.receiver, before)
    due = {call.caller: _due(site.said(), call, cut_at[call.caller]) for call in made}
    lost = {caller: turns - texts.get(caller, Counter()) for caller, turns in due.items()}
    return Compared(
        case=case,
        calls=len(made),
        killed=killed,
        received=sum(call.caller in texts for call in made),
        due=sum(turns.total() for turns in due.values()),
        lost=sum(turns.total() for turns in lost.values()),
    )


async def _wave(case: str, site: Field, random: Random) -> tuple[int, list[Call], float]:
    """Have some calls at one time; return how many were killed, the calls, and when it was."""
    killed, at = 0, float("inf")
    async with asyncio.TaskGroup() as group:
        callers = [f"+1202555{next(_NUMBERS)}" for _ in range(AT_ONCE)]
        calling = [group.create_task(_call(site, caller, random)) for caller in callers]
        if case in CASES[1:3]:
            await _all_have_spoken(site, callers)
            await asyncio.sleep(random.uniform(0.2, 1.2))
            at = time.time()
            killed = _kill(case, site)
    if case == CASES[2]:
        await site.programs["worker"].revive()
    return killed, [task.result() for task in calling], at


async def _all_have_spoken(site: Field, callers: list[str]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_SPOKEN_WITHIN):
            while not set(callers) <= {one.caller for one in site.said() if one.kind == "caller"}:  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(0.05)


async def _call(site: Field, caller: str, random: Random) -> Call:
    patience = Patience(20, random.uniform(*_TALK_SECONDS))
    called = await call_by_room(site.stack.environ, caller, site.stack.number, patience)
    return Call(caller, "room", called.begun_at, called.answered_at, called.over_at, called.rang)


def _due(said: list[Said], call: Call, cut_at: float) -> Counter[tuple[str, str]]:
    """Return what the caller said: when that was final is known, of an answer it is estimated."""
    own = [one for one in said if one.caller == call.caller and one.kind == "caller"]
    return due_turns(own, call, min(call.over_at, cut_at))


def _kill(case: str, site: Field) -> int:
    """Kill what the case says; return how many calls that hit."""
    jobs = site.busy_jobs()
    if case == CASES[2]:
        site.programs["worker"].kill()
        return len(jobs)
    for pid in jobs:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(jobs)


def _texts(receiver: Receiver, since: int) -> dict[str, Counter[tuple[str, str]]]:
    """Return what each caller's document says was said, whoever sent it."""
    found: dict[str, Counter[tuple[str, str]]] = {}
    for delivery in receiver.received[since:]:
        document = json.loads(delivery.body)
        caller = document.get("caller") or document.get("caller_number") or ""
        roles = {"user": "caller", "assistant": "agent"}
        found[caller] = Counter(
            (roles.get(turn["role"], turn["role"]), " ".join((turn["text"] or "").split()))
            for turn in document["turns"]
        )
    return found
