"""The courier's figures: bounds of known values, and a small run with real processes."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from bench.courier_calls import CallEnd
from bench.courier_figures import (
    Backlog,
    Idle,
    Neighbours,
    measure_backlog,
)
from bench.courier_here import CourierReport, render, rows
from bench.journal_here import JournalReport
from thirdring.home import Home


def report(*, per_second: float = 1000, beside: float = 20) -> CourierReport:
    return CourierReport(
        calls=tuple(CallEnd(100 + n, 40, 30, 30 + n) for n in range(10)),
        backlog=Backlog(10_000, 12.0, per_second, 0.9, 0),
        neighbours=Neighbours(20, (20.0,) * 10, (beside,) * 10),
        idle=Idle(1000, 20, 0.02),
        journal=JournalReport(40, 20, 200, 900, 2.0, 12.0, 20.0, 0.01),
    )


def test_what_misses_its_bound_is_named() -> None:
    """Few deliveries a second, and a receiver that waits for those that hang."""
    assert [row.name for row in rows(report()) if not row.kept] == []
    slow = rows(report(per_second=299, beside=40))
    assert [row.name.strip() for row in slow if not row.kept] == [
        "deliveries on one core",
        "beside 20 receivers that hang, p95",
    ]


def test_every_figure_has_its_n() -> None:
    """The table shows how many each value was made of."""
    out = io.StringIO()
    Console(file=out, width=120).print(render(rows(report())))
    assert "10,000" in out.getvalue()
    assert all(row.n > 0 for row in rows(report()))


async def test_a_small_run_measures_real_processes(tmp_path: Path) -> None:
    """Courier and receiver run beside the test; every record arrives once."""
    backlog = await measure_backlog(Home(tmp_path / "backlog"), 50)
    assert (backlog.records, backlog.twice) == (50, 0)
    assert backlog.per_second > 0
    assert backlog.cpu_milliseconds > 0
