"""Where the commands write: a terminal of some width, or a pipe, which nothing is cut for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import JsonValue
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from thirdring.printable import printable

__all__ = ["WIDE", "Column", "json_text", "put", "show_found", "show_table", "terminal"]

T = TypeVar("T")

WIDE = 120
"""From so many columns on there is room for everything."""

_ENDLESS = 100_000
_STYLES = {
    "delivered": "green",
    "pending": "yellow",
    "parked": "bold red",
    "dead": "bold red",
    "dismissed": "dim",
    "kept": "dim",
}


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        right: Numbers stand at the right.
        yields: Is cut short where the terminal is too narrow for all.
        folds: Goes on in the next line instead.
    """

    name: str
    right: bool = False
    yields: bool = False
    folds: bool = False


def terminal(*, stderr: bool = False) -> Console:
    """Return where to write to: as wide as the terminal, or without an end for a pipe.

    `COLUMNS` says the width of either.
    """
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if console.is_terminal or os.environ.get("COLUMNS"):
        return console
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=_ENDLESS)


def show_found(
    console: Console,
    found: Sequence[T],
    document: Callable[[T], JsonValue],
    table: Callable[[Console, Sequence[T]], None],
    *,
    as_json: bool,
) -> int:
    """Print what was found, as lines of JSON or as a table; return how much it is."""
    if as_json:
        for each in found:
            console.file.write(f"{json_text(document(each))}\n")
    elif found:
        table(console, found)
    return len(found)


def show_table(console: Console, columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under the names of their columns; what strangers wrote is made harmless."""
    if console.width == _ENDLESS:
        console.file.writelines(_aligned([[column.name for column in columns], *rows], columns))
        return
    narrow = console.width < WIDE
    table = Table(
        box=None, pad_edge=False, padding=(0, 1 if narrow else 2, 0, 0), header_style="bold"
    )
    for column in columns:
        table.add_column(
            column.name,
            justify="right" if column.right else "left",
            no_wrap=not (column.yields or column.folds),
            overflow="fold" if column.folds else "ellipsis",
        )
    for row in rows:
        table.add_row(*(_cell(text) for text in row))
    put(console, table)


def put(console: Console, shown: RenderableType) -> None:
    """Print without the spaces that fill up each line."""
    with console.capture() as captured:
        console.print(shown)
    console.file.write(re.sub(r" +$", "", captured.get(), flags=re.MULTILINE))


def _aligned(rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> Iterator[str]:
    """Yield lines as the table has them where nothing need be cut: in a tenth of the time."""
    cells = [[printable(text) for text in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        spaces = [" " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
        padded = (
            space + text if column.right else text + space
            for text, space, column in zip(row, spaces, columns, strict=True)
        )
        yield "  ".join(padded).rstrip() + "\n"


def _cell(text: str) -> Text:
    return Text(printable(text), style=_STYLES.get(text, ""))


def json_text(value: JsonValue, *, indent: int | None = None) -> str:
    """Return JSON that people can read in any script, and that no terminal obeys."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
