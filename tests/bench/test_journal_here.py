"""The cost of journals is measured with real ones, and judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.journal_here import JournalReport, measure_journal, misses, render

GOOD = JournalReport(
    calls=40,
    seconds=20.0,
    turns=260,
    entries=820,
    durable_p50_ms=0.8,
    durable_p99_ms=12.0,
    durable_max_ms=60.0,
    core=0.012,
    bare_p99_ms=9.0,
)


def test_real_journals_are_timed(tmp_path: Path) -> None:
    """Every figure is there after a second of many calls, and nothing is left behind."""
    report = measure_journal(calls=30, seconds=1, folder=tmp_path)
    assert (report.calls, report.turns > 2) == (30, True)
    assert report.entries > report.calls + report.turns
    assert 0 < report.durable_p50_ms <= report.durable_p99_ms
    assert report.core > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("worse", "said"), [({"durable_p99_ms": 50.1}, "50.1 ms"), ({"core": 0.021}, "2.10% of a core")]
)
def test_what_is_too_much_is_named(worse: dict[str, float], said: str) -> None:
    """Each bound by itself; within both nothing is missed."""
    assert misses(GOOD) == []
    (missed,) = misses(replace(GOOD, **worse))  # type: ignore[arg-type]
    assert said in missed


def test_each_figure_says_how_many_it_counts() -> None:
    """A percentile without its n is worth nothing."""
    turns, core = render(GOOD).splitlines()
    assert "12.0 ms (p99)" in turns
    assert "n=260 turns" in turns
    assert "1.20% of a core" in core
    assert "n=820 entries" in core
