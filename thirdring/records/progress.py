"""How far long work has come, on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["progress"]

_LINE_EVERY_SECONDS = 5.0


@contextmanager
def progress(err: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what is to be told how much more is done: a bar, or lines where nobody watches."""
    if err.is_terminal:
        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=err, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)
        return
    yield _lines(err, what, total)


def _lines(err: Console, what: str, total: int) -> Callable[[int], None]:
    done, said_at = 0, time.monotonic()

    def advance(more: int) -> None:
        nonlocal done, said_at
        done += more
        if time.monotonic() - said_at >= _LINE_EVERY_SECONDS:
            said_at = time.monotonic()
            err.print(f"{what}: {done} of {total}")

    return advance
