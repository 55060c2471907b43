"""What a run has shown: tables for people, one document for programs; pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich import box
from rich.table import Table

from local.chaos.ledger import Balance
from local.chaos.obstacles import Outcome
from local.chaos.stock import Compared

__all__ = ["Report", "as_json", "ledger", "obstacles", "side_by_side"]


@dataclass
class Report:
    """Everything that one `chaos` did.

    Attributes:
        storms: By name, with the ledger of each.
        machine_held: Whether the state machine held; None when it did not run.
    """

    seed: int
    storms: dict[str, Balance] = field(default_factory=dict)
    obstacles: list[Outcome] = field(default_factory=list)
    plain: list[Compared] = field(default_factory=list)
    ours: list[Compared] = field(default_factory=list)
    machine_held: bool | None = None

    @property
    def problems(self) -> list[str]:
        """Every line that does not balance and everything else that did not hold."""
        found = [problem for storm in self.storms.values() for problem in storm.problems]
        found += [f"{one.name}: {problem}" for one in self.obstacles for problem in one.problems]
        found += [
            f"{one.case}: {one.received} of {one.calls} records, {one.lost} turns lost"
            for one in self.ours
            if one.received < one.calls or one.lost
        ]
        if self.machine_held is False:
            found.append("the state machine found a run that does not hold; see above")
        return found


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.caption_justify = "left"
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def ledger(name: str, found: Balance) -> Table:
    """Return the ledger of a storm, by what was killed."""
    table = _table(name, "kills", "calls hit", "records", "turns due", "missing")
    for target, row in found.rows.items():
        label = "no kill" if target == "none" else f"kill -9 of {_spoken(target)}"
        hit = "" if target == "courier" else str(row.hit)
        rest = ("", "", "") if target == "courier" else (row.recorded, row.due, row.missing)
        table.add_row(label, str(row.kills or ""), hit, *map(str, rest))
    table.caption = (
        f"{found.calls} calls made, {found.records} records received, {found.lost} lost "
        f"(0 in n: below {_bound(found.calls)} with 95 % confidence). "
        f"{found.said} turns said, {found.due} of them due, {found.missing} missing, "
        f"{found.invented} too many (an answer is due {found.played_out:.1f} s after its audio). "
        f"{found.deliveries} deliveries, {found.unverified} not "
        f"verified; {found.repeated} repetitions, {found.different} of them different. "
        f"Not counted: {found.untaken} turns that a job had not read before it was killed, "
        f"{found.unborn} calls that met the gateway's death before they were on disk, "
        f"{found.unheard} that no job took while no courier was there for long."
    )
    return table


def _bound(n: int) -> str:
    return f"{300 / n:.2f} %" if n else "anything"


def _spoken(target: str) -> str:
    return "all at once" if target == "all" else target


def obstacles(outcomes: Sequence[Outcome]) -> Table:
    """Return what was seen of each obstacle."""
    table = _table("In the way of a call", "seen")
    for one in outcomes:
        for name, value in one.figures.items():
            table.add_row(f"{one.name}: {name}", str(value))
    return table


def side_by_side(plain: Sequence[Compared], ours: Sequence[Compared]) -> Table:
    """Return how both workers fared."""
    table = _table(
        "A plain worker that posts at shutdown, and ours",
        *("calls", "killed", "records: plain", "ours", "turns lost: plain", "ours"),
    )
    for one, other in zip(plain, ours, strict=True):
        table.add_row(
            one.case,
            str(one.calls),
            f"{one.killed} / {other.killed}",
            f"{one.received} of {one.calls}",
            f"{other.received} of {other.calls}",
            f"{one.lost} of {one.due}",
            f"{other.lost} of {other.due}",
        )
    return table


def as_json(report: Report) -> dict[str, Any]:
    """Return everything as one document."""
    document = asdict(report)
    document["problems"] = report.problems
    return document
