"""What `python ring.py bench-courier` measures beside calls: throughput, neighbours, idling."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.courier_load import Receiver, courier, journal, open_journal, queue, receiver
from thirdring.home import Home
from thirdring.record import record_id

__all__ = [
    "Backlog",
    "Idle",
    "Neighbours",
    "measure_backlog",
    "measure_idle",
    "measure_neighbours",
    "quantile",
]

_HANGING: Final = 20
_WAITING_EACH: Final = 50
_PATIENCE: Final = 300.0
_PAUSE: Final = (0.04, 0.06)


@dataclass(frozen=True)
class Backlog:
    """Queued records that go to one receiver which answers at once.

    Attributes:
        seconds: From the start of the courier's process to the last 2xx.
        per_second: While they went, its start left out.
        cpu_milliseconds: What each took of the courier's one core, its start included.
        twice: How many came more than once.
    """

    records: int
    seconds: float
    per_second: float
    cpu_milliseconds: float
    twice: int


@dataclass(frozen=True)
class Neighbours:
    """From a closed journal to its 2xx, in milliseconds: alone, and beside receivers that hang."""

    hanging: int
    alone: tuple[float, ...]
    beside: tuple[float, ...]


@dataclass(frozen=True)
class Idle:
    """What a courier with nothing to do takes of a core while so many calls go on."""

    calls: int
    seconds: float
    core: float


def quantile(values: Sequence[float], part: float) -> float:
    """Return a quantile, such as 0.95; NaN of nothing."""
    return float(np.quantile(values, part)) if values else float("nan")


async def measure_backlog(home: Home, records: int) -> Backlog:
    """Queue records, start a courier on one core, and wait until all have arrived."""
    await queue(home, [f"queued-{number}" for number in range(records)], "quick")
    async with receiver(core=_core(1)) as there:
        began = time.monotonic()
        async with courier(home, {"quick": there.quick("all")}, core=_core(0)) as running:
            found = await there.wait(records, _PATIENCE)
    times = sorted(arrival.at for arrival in found)
    return Backlog(
        records=records,
        seconds=times[-1] - began,
        per_second=(len(times) - 1) / (times[-1] - times[0]),
        cpu_milliseconds=running.cpu_seconds / records * 1000,
        twice=len(found) - len({arrival.record_id for arrival in found}),
    )


async def measure_neighbours(home: Home, calls: int) -> Neighbours:
    """End so many calls of one business alone, and as many while the receivers of others hang.

    Half of those alone come first and half last, for the machine may be busier at one time.
    """
    found: dict[bool, list[float]] = {False: [], True: []}
    async with receiver() as there:
        for number, beside in enumerate((False, True, True, False)):
            part = Home(home.root / str(number)).made()
            found[beside] += await _arm(part, there, (calls + 1) // 2, beside=beside)
    return Neighbours(_HANGING, tuple(found[False]), tuple(found[True]))


async def _arm(home: Home, there: Receiver, calls: int, *, beside: bool) -> list[float]:
    stuck = [f"stuck_{number}" for number in range(_HANGING)]
    urls = {slug: there.hanging(slug) for slug in stuck}
    for slug in stuck if beside else ():
        await queue(home, [f"{slug}-{number}" for number in range(_WAITING_EACH)], slug)
    async with courier(home, {**urls, "quick": there.quick("one")}):
        await _delays(home, there, "warm", 20)
        return await _delays(home, there, "measured", calls)


async def _delays(home: Home, there: Receiver, name: str, calls: int) -> list[float]:
    closed: dict[str, float] = {}
    for number in range(calls):
        call_id = f"{name}-{number}"
        await journal(home, call_id, "quick")
        closed[str(record_id(call_id))] = time.monotonic()
        await asyncio.sleep(random.uniform(*_PAUSE))
    found = await there.wait(calls, _PATIENCE)
    return [(each.at - closed[each.record_id]) * 1000 for each in found]


async def measure_idle(home: Home, calls: int, seconds: float) -> Idle | None:
    """Have so many calls go on, and nothing else; None where nobody says what a process takes."""
    if sys.platform != "linux":
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, calls + 512)), hard))
    async with AsyncExitStack() as stack:
        for number in range(calls):
            await stack.enter_async_context(open_journal(home, f"open-{number}"))
        running = await stack.enter_async_context(courier(home, {}))
        await asyncio.sleep(5)
        before = _cpu_seconds(running.pid)
        await asyncio.sleep(seconds)
        core = (_cpu_seconds(running.pid) - before) / seconds
    return Idle(calls, seconds, core)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _core(number: int) -> int:
    """Return one of the cores that this process may use; -1 for any."""
    cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    return cores[number % len(cores)] if cores else -1
