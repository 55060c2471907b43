"""The cost of a tool's guards is measured at a real WebSocket, and judged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.tool_overhead import ToolReport, measure_tools, misses, render

GOOD = ToolReport(
    n=500,
    p50=4.2,
    p99=6.4,
    longest=15.4,
    bare_p50=4.7,
    bare_p99=6.5,
    guards_p50=0.07,
    guards_p99=0.63,
)


async def test_real_tool_calls_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them once, with guards and without."""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    report = await measure_tools(20)
    assert report.n == 20
    assert 0 < report.p50 <= report.p99
    assert report.bare_p50 > 0
    assert report.guards_p50 > 0


@pytest.mark.parametrize(("worse", "said"), [({"p50": 5.1}, "5.1 ms"), ({"p99": 15.2}, "15.2 ms")])
def test_what_is_too_slow_is_named(worse: dict[str, float], said: str) -> None:
    """Each bound by itself; within both nothing is missed."""
    assert misses(GOOD) == []
    (missed,) = misses(replace(GOOD, **worse))  # type: ignore[arg-type]
    assert said in missed


def test_each_figure_says_how_many_it_counts() -> None:
    """A percentile without its n is worth nothing."""
    assert all("n=500" in line for line in render(GOOD).splitlines())
