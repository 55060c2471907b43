"""What it costs to keep journals: how soon a turn is on disk, how much of a core 40 calls take.

`measure_journal` writes real journals, in a process of their own, as that many calls would: each in
its own file, with its own locks and syncs, an entry at every step of a conversation.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Final

from thirdring.calls import Latency, Leg, LegKind, Role, ToolUse, Turn, Usage
from thirdring.journal import (
    Entry,
    Journal,
    LatencyMeasured,
    Opened,
    ToolBegun,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
)
from thirdring.journal.durable import sync_data

__all__ = ["JournalReport", "measure_journal", "misses", "render"]

MOST_MILLISECONDS: Final = 50.0
MOST_OF_A_CORE: Final = 0.02

_TURN_SECONDS: Final = 3.0
"""How often something is said in a call; both speak, so that is brisk."""

_TURN_BYTES: Final = 450
_BARE: Final = 8
_BARE_SECONDS: Final = 0.6
"""So that the disk alone is asked about as often as by 40 calls."""


@dataclass(frozen=True)
class JournalReport:
    """What was measured.

    Attributes:
        turns: How many turns were timed, from the append to the return of the sync.
        durable_p50_ms, durable_p99_ms, durable_max_ms: Of those turns.
        bare_p99_ms: How long the disk alone took meanwhile for as much, without any journal.
        core: The part of one core that all calls took together, user and system.
        entries: How many were written.
    """

    calls: int
    seconds: float
    turns: int
    entries: int
    durable_p50_ms: float
    durable_p99_ms: float
    durable_max_ms: float
    core: float
    bare_p99_ms: float = 0.0


def measure_journal(
    *, calls: int = 40, seconds: float = 20.0, folder: Path | None = None
) -> JournalReport:
    """Have `calls` journals written at once for `seconds`, in another process.

    Args:
        folder: On the disk to be measured; the one of temporary files by default.

    Raises:
        subprocess.CalledProcessError: The journals could not be written; it has said why.
    """
    with tempfile.TemporaryDirectory(dir=folder) as home, ThreadPoolExecutor(_BARE) as threads:
        command = [sys.executable, "-m", "bench.journal_here", home, str(calls), str(seconds)]
        bare = [threads.submit(_write_bare, Path(home, f"bare-{n}"), seconds) for n in range(_BARE)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    report = JournalReport(**json.loads(done.stdout))
    waits = [wait for each in bare for wait in each.result()]
    return replace(report, bare_p99_ms=quantiles(waits, n=100)[98])


def _write_bare(path: Path, seconds: float) -> list[float]:
    waits = []
    chance, until = random.Random(path.name), time.monotonic() + seconds
    with path.open("wb", buffering=0) as file:
        while time.monotonic() < until:
            began = time.perf_counter()
            file.write(bytes(_TURN_BYTES))
            sync_data(file.fileno())
            waits.append((time.perf_counter() - began) * 1000)
            time.sleep(chance.uniform(0.5, 1.5) * _BARE_SECONDS)
    return waits


def render(report: JournalReport) -> str:
    """Return the figures in two lines, each with how many it counts."""
    return (
        f"journal: a turn is on disk after {report.durable_p50_ms:.1f} ms (p50), "
        f"{report.durable_p99_ms:.1f} ms (p99), {report.durable_max_ms:.1f} ms (longest); "
        f"n={report.turns} turns, p99 {MOST_MILLISECONDS:.0f} ms at most "
        f"(the disk alone meanwhile: {report.bare_p99_ms:.1f} ms)\n"
        f"journal: {report.calls} calls at once take {report.core:.2%} of a core; "
        f"n={report.entries} entries in {report.seconds:.0f} s, {MOST_OF_A_CORE:.0%} at most"
    )


def misses(report: JournalReport) -> list[str]:
    """Return what is slower or dearer than it may be."""
    found = []
    if report.durable_p99_ms > MOST_MILLISECONDS:
        found.append(
            f"a turn is on disk after {report.durable_p99_ms:.1f} ms (p99), "
            f"{MOST_MILLISECONDS:.0f} at most"
        )
    if report.core > MOST_OF_A_CORE:
        found.append(
            f"{report.calls} calls take {report.core:.2%} of a core for their journals, "
            f"{MOST_OF_A_CORE:.0%} at most"
        )
    return found


def _opened(number: int) -> Opened:
    leg = Leg(call_id=f"call-{number}", kind=LegKind.SIP, identity="sip_+12025550199")
    return Opened(
        at=datetime.now(UTC),
        leg=leg,
        business="riverside_clinic",
        line="+12025550142",
        workflow="patient_questions",
        model="gpt-realtime",
        room=f"call-{number}",
        job=f"AJ_{number}",
    )


def _turn(number: int) -> TurnSpoken:
    now = datetime.now(UTC)
    role = (Role.CALLER, Role.AGENT)[number % 2]
    text = "Do you have anything on Friday afternoon, or early on Monday morning? " * 2
    return TurnSpoken(
        at=now, turn=Turn(id=f"item_{number}", role=role, text=text, started_at=now, ended_at=now)
    )


def _beside(number: int) -> list[Entry]:
    """Return what is written with a turn: its wait, its tokens, at times a tool."""
    now = datetime.now(UTC)
    wait = Latency(kind="reply", milliseconds=700, turn_id=f"item_{number}")
    entries: list[Entry] = [
        LatencyMeasured(at=now, latency=wait),
        UsageCounted(at=now, usage=Usage(model="gpt-realtime", input_tokens=number)),
    ]
    if number % 3 == 0:
        use = ToolUse(
            id=f"use_{number}", name="find_slots", arguments={"day": "friday"}, started_at=now
        )
        done = use.model_copy(update={"result": "At 2 PM and at 4 PM.", "ended_at": now})
        entries += [ToolBegun(at=now, use=use), ToolUsed(at=now, use=done)]
    return entries


async def _call(folder: Path, number: int, until: float, waits: list[float]) -> int:
    chance = random.Random(number)
    written = 1
    async with Journal.create(folder, _opened(number)) as journal:
        await _sleep(chance.uniform(0, 1) * _TURN_SECONDS, until)
        while time.monotonic() < until:
            began = time.perf_counter()
            journal.append(_turn(written))
            await journal.flush()
            waits.append((time.perf_counter() - began) * 1000)
            beside = _beside(written)
            for entry in beside:
                journal.append(entry)
            written += 1 + len(beside)
            await _sleep(chance.uniform(0.5, 1.5) * _TURN_SECONDS, until)
    return written


async def _sleep(seconds: float, until: float) -> None:
    await asyncio.sleep(max(0.0, min(seconds, until - time.monotonic())))


async def _write(folder: Path, calls: int, seconds: float) -> JournalReport:
    waits: list[float] = []
    until = time.monotonic() + seconds
    began, cpu = time.perf_counter(), time.process_time()
    written = await asyncio.gather(*(_call(folder, n, until, waits) for n in range(calls)))
    took = time.perf_counter() - began
    core = (time.process_time() - cpu) / took
    hundredths = quantiles(waits, n=100)
    return JournalReport(
        calls=calls,
        seconds=round(took, 1),
        turns=len(waits),
        entries=sum(written),
        durable_p50_ms=hundredths[49],
        durable_p99_ms=hundredths[98],
        durable_max_ms=max(waits),
        core=core,
    )


def main() -> None:
    """Write what the arguments say, and print the report as JSON."""
    folder, calls, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    report = asyncio.run(_write(folder, calls, seconds))
    json.dump(asdict(report), sys.stdout)
    sys.stdout.write(os.linesep)


if __name__ == "__main__":
    main()
