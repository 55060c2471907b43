"""Dismissing what nobody will ever get: what that would do, and doing it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import JsonValue
from rich.console import Console

from thirdring.records.replaying import before, counted, documents
from thirdring.records.screen import json_text
from thirdring.store import Store
from thirdring.store.dismissing import dismiss, dismissible
from thirdring.store.replaying import Planned, Wanted

__all__ = ["Dismissal", "run_dismiss", "show_dismissal"]


@dataclass(frozen=True)
class Dismissal:
    """What was dismissed, or, unless `done`, what would be."""

    deliveries: Sequence[Planned]
    done: bool

    @property
    def records(self) -> int:
        """Return of how many calls."""
        return len({item.call_id for item in self.deliveries})


async def run_dismiss(store: Store, wanted: Wanted, now: datetime, *, yes: bool) -> Dismissal:
    """Dismiss deliveries; of more than one record only with `yes`."""
    found = Dismissal(await dismissible(store, wanted, now), done=False)
    if found.records > 1 and not yes:
        return found
    return Dismissal(await dismiss(store, wanted, now) if found.records else [], done=True)


def show_dismissal(out: Console, found: Dismissal, *, as_json: bool) -> None:
    """Print what was done, or what would be."""
    if as_json:
        document: dict[str, JsonValue] = {
            "done": found.done,
            "records": found.records,
            "deliveries": documents(found.deliveries),
        }
        out.file.write(f"{json_text(document, indent=2)}\n")
        return
    for line in _lines(found):
        out.print(line, soft_wrap=True)


def _lines(found: Dismissal) -> Iterator[str]:
    if not found.deliveries:
        yield "nothing to dismiss"
    yield from before(found.deliveries, "dismissed" if found.done else "would be dismissed")
    if not found.done:
        yield f"Nothing has been done: say --yes to dismiss {counted(found.records)}."
