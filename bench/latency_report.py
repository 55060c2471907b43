"""The figures of a latency run beside their bounds and those of stock LiveKit; pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

__all__ = [
    "POINTS",
    "Figure",
    "Greeting",
    "LatencyReport",
    "Sample",
    "figures",
    "misses",
    "render",
    "to_json",
]

POINTS: Final = (0.0, 0.5, 2.0)
"""Where in the greeting the caller interrupts, in seconds; 0 is at its first packet."""

_PACING_LIMIT: Final = 5.0
_RAW_ECHO: Final = 224.0
"""Median of a bare participant that returns what it hears, the better of two measured runs."""


@dataclass(frozen=True)
class Sample:
    """One call; None where the agent did not do it in time: it was deaf, or silent.

    Attributes:
        point_s: How far into the greeting it was interrupted; one of `POINTS`.
        barge_in_ms: Burst sent to greeting silent.
        mouth_to_ear_ms: Burst sent into silence to first sound of the answer.
        pacing_p99_ms: How late the caller's own packets left.
    """

    invite_to_200_ms: float
    answer_to_greeting_ms: float
    point_s: float
    barge_in_ms: float | None
    mouth_to_ear_ms: float | None
    pacing_p99_ms: float


@dataclass(frozen=True)
class Greeting:
    """One call to a model that speaks."""

    invite_to_200_ms: float
    answer_to_greeting_ms: float


@dataclass(frozen=True)
class LatencyReport:
    """All calls of one run.

    Attributes:
        spoken: Those to a model that speaks; none when only the reflex was there.
        failures: Calls that did not come about, a line for each.
    """

    target: str
    samples: tuple[Sample, ...]
    failures: tuple[str, ...] = ()
    spoken: tuple[Greeting, ...] = ()


@dataclass(frozen=True)
class _Row:
    """What is printed in one line.

    Attributes:
        stock_p50: Of stock LiveKit with livekit-sip, its best measured value; None when unknown.
        stock: As it was measured: median / 95th percentile, or a range of calls.
    """

    name: str
    values: Callable[[LatencyReport], list[float | None]]
    bound_p50: float | None = None
    bound_p95: float | None = None
    stock_p50: float | None = None
    stock_p95: float | None = None
    stock: str = ""


def _barge_ins(report: LatencyReport, point: float | None) -> list[float | None]:
    return [s.barge_in_ms for s in report.samples if point is None or s.point_s == point]


# Stock's figures: livekit-agents 1.8.9 with livekit-sip 1.10.0 on 2 cores, called by such a caller.
# Where only a range of 20 calls is known, its slowest stands for the 95th percentile.
_ROWS: Final = (
    _Row(
        "INVITE to 200 OK",
        lambda report: [s.invite_to_200_ms for s in report.samples],
        bound_p95=600,
        stock_p95=430,
        stock="346 to 430",
    ),
    _Row(
        "200 OK to greeting",
        lambda report: [s.answer_to_greeting_ms for s in report.samples],
        bound_p95=300,
        stock_p95=329,
        stock="174 to 329",
    ),
    _Row(
        "mouth to ear",
        lambda report: [s.mouth_to_ear_ms for s in report.samples],
        bound_p50=260,
        bound_p95=290,
        stock_p50=264,
        stock_p95=305,
        stock="264 / 305",
    ),
    _Row(
        "barge-in",
        lambda report: _barge_ins(report, None),
        bound_p50=240,
        stock_p50=287,
        stock_p95=293,
        stock="287 / 293",
    ),
    _Row("  at the first 20 ms", lambda report: _barge_ins(report, POINTS[0]), stock="deaf"),
    _Row("  0.5 s into greeting", lambda report: _barge_ins(report, POINTS[1]), stock="deaf"),
    _Row("  2 s into greeting", lambda report: _barge_ins(report, POINTS[2]), stock="deaf"),
    _Row(
        "spoken: INVITE to 200",
        lambda report: [s.invite_to_200_ms for s in report.spoken],
        bound_p95=600,
        stock_p95=430,
        stock="346 to 430",
    ),
    _Row(
        "spoken: 200 to greeting",
        lambda report: [s.answer_to_greeting_ms for s in report.spoken],
        bound_p95=300,
        stock_p95=423,
        stock="370 to 423",
    ),
)


@dataclass(frozen=True)
class Figure:
    """One line of the table; `p50` and `p95` are infinite when too many never happened.

    Attributes:
        happened: Of `n`.
        misses: Each bound that was missed, in words.
        against_stock: The difference to stock in percent, median and 95th percentile; negative is
            faster.
    """

    name: str
    n: int
    happened: int
    p50: float
    p95: float
    bound: str
    misses: tuple[str, ...]
    stock: str
    against_stock: tuple[float | None, float | None]


def figures(report: LatencyReport) -> tuple[Figure, ...]:
    """Return the lines of the table; those without any value are left out."""
    return tuple(_figure(row, values) for row in _ROWS if (values := row.values(report)))


def _figure(row: _Row, values: Sequence[float | None]) -> Figure:
    times = np.array([math.inf if value is None else value for value in values])
    # `higher` never makes a value up, and so copes with the infinite ones.
    p50, p95 = (float(np.percentile(times, q, method="higher")) for q in (50, 95))
    happened = int(np.isfinite(times).sum())
    missed = [
        f"{row.name.strip()}: {label} {value:.0f} ms, at most {bound:.0f}"
        for label, value, bound in (("p50", p50, row.bound_p50), ("p95", p95, row.bound_p95))
        if bound is not None and value > bound
    ]
    if happened < len(values):
        missed.append(f"{row.name.strip()}: {len(values) - happened} of {len(values)} never")
    limits = (row.bound_p50, row.bound_p95)
    bound = " / ".join("-" if limit is None else f"{limit:.0f}" for limit in limits)
    return Figure(
        name=row.name,
        n=len(values),
        happened=happened,
        p50=p50,
        p95=p95,
        bound=bound if any(limits) else "every one",
        misses=tuple(missed),
        stock=row.stock,
        against_stock=(_difference(p50, row.stock_p50), _difference(p95, row.stock_p95)),
    )


def _difference(value: float, stock: float | None) -> float | None:
    return None if stock is None or math.isinf(value) else 100 * (value - stock) / stock


def misses(report: LatencyReport) -> tuple[str, ...]:
    """Return everything for which the run does not pass, in words."""
    found = [miss for figure in figures(report) for miss in figure.misses]
    found += [f"a call failed: {failure}" for failure in report.failures]
    if not report.samples:
        found.append("no call was measured")
    pacing = max((sample.pacing_p99_ms for sample in report.samples), default=0.0)
    if pacing > _PACING_LIMIT:
        found.append(
            f"the caller's own packets left {pacing:.1f} ms late (p99), at most {_PACING_LIMIT:g}: "
            "the machine is too busy to measure on"
        )
    return tuple(found)


def render(report: LatencyReport) -> Table:
    """Return the table, in milliseconds."""
    title = f"{report.target}, in ms (p50 / p95)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.caption_justify = "left"
    table.add_column("", no_wrap=True)
    for name in ("n", "p50", "p95", "at most", "stock", "against it"):
        table.add_column(name, justify="right", no_wrap=True)
    for figure in figures(report):
        style = "red" if figure.misses else "green"
        table.add_row(
            figure.name,
            str(figure.n),
            Text(_number(figure.p50), style),
            Text(_number(figure.p95), style),
            figure.bound,
            figure.stock,
            _compared(figure),
        )
    pacing = max((sample.pacing_p99_ms for sample in report.samples), default=0.0)
    table.caption = (
        "Ours: behind the gateway. Stock: LiveKit Agents behind livekit-sip, its barge-in 3 s into "
        f"a speech; deaf before. {_against_echo(report)}"
        f"The caller's own packets left at most {pacing:.2f} ms late (p99)."
    )
    return table


def _against_echo(report: LatencyReport) -> str:
    ours = next((f.p50 for f in figures(report) if f.name == "mouth to ear"), math.inf)
    difference = _difference(ours, _RAW_ECHO)
    if difference is None:
        return ""
    return (
        f"A raw echo in a room behind livekit-sip takes {_RAW_ECHO:.0f} ms and more; our mouth to "
        f"ear against it: {difference:+.0f} %. "
    )


def _number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"


def _compared(figure: Figure) -> str:
    if figure.stock == "deaf":
        return f"heard {figure.happened} of {figure.n}"
    return " / ".join("-" if part is None else f"{part:+.0f} %" for part in figure.against_stock)


def to_json(report: LatencyReport) -> dict[str, Any]:
    """Return the run as JSON: every call, the lines of the table, what was missed."""
    lines = [asdict(figure) for figure in figures(report)]
    for line in lines:
        line.update({key: None for key in ("p50", "p95") if math.isinf(line[key])})
    return {**asdict(report), "figures": lines, "misses": misses(report)}
