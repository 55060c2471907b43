"""`python ring.py bench-courier`: what records cost in time, measured on this machine, judged."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.courier_calls import CallEnd, measure_calls
from bench.courier_figures import (
    Backlog,
    Idle,
    Neighbours,
    measure_backlog,
    measure_idle,
    measure_neighbours,
    quantile,
)
from bench.journal_here import JournalReport, measure_journal
from thirdring.home import Home

__all__ = ["QUICK", "CourierReport", "Sizes", "render", "rows", "run"]

_IDLE_CALLS: Final = 1000
_JOURNALS: Final = 40
_NOISE_MILLISECONDS: Final = 10.0
"""What two runs of the same thing differ by on a machine that does other things too."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured of each.

    Attributes:
        calls: Real ones, and as many ends of calls with and without neighbours that hang, twice.
        records: Queued ones.
        seconds: For what is watched while nothing happens, and for journals.
    """

    calls: int = 40
    records: int = 10_000
    seconds: float = 20.0


QUICK: Final = Sizes(calls=8, records=2000, seconds=4)


@dataclass(frozen=True)
class CourierReport:
    """All figures of one run; `idle` is None where the machine cannot tell."""

    calls: tuple[CallEnd, ...]
    backlog: Backlog
    neighbours: Neighbours
    idle: Idle | None
    journal: JournalReport


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        must: The bound that it has to keep; None for one that only informs.
        aim: What it is meant to reach.
        least: The bound is a lower one.
    """

    name: str
    n: int
    value: float
    unit: str
    must: float | None = None
    aim: float | None = None
    least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the bound is kept."""
        if self.must is None:
            return True
        return self.value >= self.must if self.least else self.value <= self.must


async def run(home: Home, console: Console, sizes: Sizes, *, json_file: Path | None = None) -> int:
    """Measure everything and print the table; return 1 when a bound is missed.

    Args:
        home: Made anew.
        json_file: Where every figure and every call go.

    Raises:
        PhoneError: A part does not start, or a call cannot be placed.
        TimeoutError: Records did not arrive.
    """
    await asyncio.to_thread(shutil.rmtree, home.root, ignore_errors=True)
    report = await _measure(home, console, sizes)
    found = rows(report)
    console.print(render(found))
    if json_file is not None:
        document = {"rows": [asdict(row) for row in found], **asdict(report)}
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    missed = [row for row in found if not row.kept]
    for row in missed:
        bound = "at least" if row.least else "at most"
        console.print(f"MISSED {row.name}: {row.value:.1f}, {bound} {row.must:g}", style="bold red")
    return 1 if missed else 0


async def _measure(home: Home, console: Console, sizes: Sizes) -> CourierReport:
    def part(name: str) -> Home:
        return Home(home.root / name).made()

    with Progress(console=console, transient=True) as progress:

        def counted(what: str, total: int) -> Callable[[int], None]:
            task = progress.add_task(what, total=total)
            return lambda done: progress.update(task, completed=done)

        def began(what: str) -> None:
            progress.add_task(what, total=None)

        calls = await measure_calls(
            part("calls"), sizes.calls, counted("calls that are hung up", sizes.calls)
        )
        began(f"{sizes.records} queued records to one receiver")
        backlog = await measure_backlog(part("backlog"), sizes.records)
        began("one receiver that answers beside those that hang")
        neighbours = await measure_neighbours(part("neighbours"), sizes.calls * 5)
        began(f"a courier while {_IDLE_CALLS} calls go on")
        idle = await measure_idle(part("idle"), _IDLE_CALLS, sizes.seconds)
        began(f"{_JOURNALS} journals")
        journal = await asyncio.to_thread(
            measure_journal, calls=_JOURNALS, seconds=sizes.seconds, folder=part("journal").root
        )
    return CourierReport(tuple(calls), backlog, neighbours, idle, journal)


def rows(report: CourierReport) -> list[Row]:
    """Return the figures beside their bounds."""
    calls, backlog, beside = report.calls, report.backlog, report.neighbours
    total = [call.total for call in calls]
    alone = quantile(beside.alone, 0.95)
    found = [
        Row("BYE to webhook 2xx, p50", len(calls), quantile(total, 0.5), "ms", 300, 120),
        Row("BYE to webhook 2xx, p95", len(calls), quantile(total, 0.95), "ms"),
        Row("BYE to webhook 2xx, p99", len(calls), quantile(total, 0.99), "ms", 1500, 600),
        _stage("  BYE to ending in the journal", [call.to_ended for call in calls]),
        _stage("  to the record being made", [call.to_record for call in calls]),
        _stage("  to stored, posted, answered", [call.to_answer for call in calls]),
        Row(
            *("deliveries on one core", backlog.records, backlog.per_second, "/s", 300, 1000),
            least=True,
        ),
        Row("  of that core, each", backlog.records, backlog.cpu_milliseconds, "ms"),
        Row("queued records drained", backlog.records, backlog.seconds, "s", 60, 15),
        Row("  that came twice", backlog.records, backlog.twice, "", 0),
        Row("journal closed to 2xx, p95", len(beside.alone), alone, "ms"),
        Row(
            f"  beside {beside.hanging} receivers that hang, p95",
            len(beside.beside),
            quantile(beside.beside, 0.95),
            "ms",
            alone * 1.05 + _NOISE_MILLISECONDS,
        ),
        Row("turn on disk, p99", report.journal.turns, report.journal.durable_p99_ms, "ms", 50, 15),
        Row(
            f"{report.journal.calls} calls' journals, of a core",
            *(report.journal.entries, report.journal.core * 100, "%", 2),
        ),
    ]
    if report.idle is not None:
        name = f"courier while {report.idle.calls} calls go on, of a core"
        found.append(Row(name, report.idle.calls, report.idle.core * 100, "%", 5))
    return found


def _stage(name: str, values: Sequence[float]) -> Row:
    return Row(f"{name}, p50", len(values), quantile(values, 0.5), "ms")


def render(found: Sequence[Row]) -> Table:
    """Return the table."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("", "n", "measured", "must", "aim"):
        table.add_column(name, justify="left" if not name else "right")
    for row in found:
        sign = "≥" if row.least else "≤"
        bounds = [
            f"{sign} {bound:.4g}" if bound is not None else "" for bound in (row.must, row.aim)
        ]
        style = "" if row.kept else "bold red"
        table.add_row(row.name, f"{row.n:,}", f"{row.value:,.1f} {row.unit}", *bounds, style=style)
    return table
