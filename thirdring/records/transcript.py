"""A call as text for people at a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thirdring.printable import printable
from thirdring.record import Record
from thirdring.records.moments import Lane, Moment, facts, moments, when
from thirdring.records.screen import put
from thirdring.store.history import Delivery

__all__ = ["show", "told"]

_STYLES = {
    Lane.CALLER: "green",
    Lane.AGENT: "magenta",
    Lane.TOOL: "yellow",
    Lane.KEYS: "green",
    Lane.FAULT: "bold red",
}


def show(console: Console, record: Record, deliveries: Sequence[Delivery]) -> None:
    """Print what is known of a call, how far its record has come, and what happened."""
    head = _grid()
    for name, value in [*facts(record), ("delivery", told(deliveries))]:
        head.add_row(Text(name, style="bold"), Text(printable(value)))
    put(console, head)
    console.print()
    happened = moments(record)
    if not happened:
        console.print("Nothing was said.")
        return
    talk = _grid(times=True)
    for moment in happened:
        lane = Text(moment.lane, style=_STYLES[moment.lane])
        talk.add_row(Text(_clock(moment.start), style="dim"), lane, _said(moment))
    put(console, talk)


def told(deliveries: Sequence[Delivery]) -> str:
    """Return how far a record has come, one line."""
    if not deliveries:
        return "kept: the business had no sink"
    return "; ".join(map(_told, deliveries))


def _told(delivery: Delivery) -> str:
    tries = "1 attempt" if delivery.attempts == 1 else f"{delivery.attempts} attempts"
    since = f" {when(delivery.settled_at)} UTC" if delivery.settled_at else ""
    due = f", due {when(delivery.due_at)} UTC" if delivery.due_at else ""
    error = f": {delivery.error}" if delivery.error else ""
    return f"{delivery.sink} {delivery.state}{since}{due}, {tries}{error}"


def _said(moment: Moment) -> Text:
    text = Text(printable(moment.text))
    if moment.note:
        text.append(f"  ({moment.note})", style="dim")
    return text


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds * 10), 600)
    return f"{minutes}:{rest // 10:02}.{rest % 10}"


def _grid(*, times: bool = False) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    if times:
        grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid
