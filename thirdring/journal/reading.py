"""Reading a journal back, whole or not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from thirdring.errors import JournalError
from thirdring.journal.entries import Elsewhere, Ended, Entry, HandedOver, Opened, parse_entry
from thirdring.journal.writer import Writer

__all__ = ["JournalContents", "has_ended", "last_job", "parse", "read"]

_TAIL_BYTES = 65536
_BEGINNING = re.compile(rb'[0-9a-f]{8} \{"')


@dataclass(frozen=True)
class JournalContents:
    """What could be read of a journal.

    Attributes:
        damaged_tail: The last line is not whole: its writer died while it wrote.
        damaged_lines: Whole lines that are not what was written.
        damaged: Those lines and that tail, in their order; entries that are whole inside count.
    """

    entries: tuple[Entry, ...]
    damaged_tail: bool = False
    damaged_lines: int = 0
    damaged: tuple[bytes, ...] = ()

    @property
    def opened(self) -> Opened | None:
        """What says which call it is; None when that line is damaged."""
        first = self.entries[0] if self.entries else None
        return first if isinstance(first, Opened) else None

    @property
    def ended(self) -> bool:
        """Whether the call is over, or goes on in another journal: nothing follows."""
        return any(isinstance(entry, Ended | Elsewhere) for entry in self.entries)

    @property
    def elsewhere(self) -> bool:
        """Whether the record comes from another machine."""
        return any(isinstance(entry, Elsewhere) for entry in self.entries)

    @property
    def job(self) -> Writer | None:
        """The job that took the journal last; None while the phone rings, or when not known."""
        for entry in reversed(self.entries):
            if isinstance(entry, HandedOver | Opened) and entry.writer is not None:
                return entry.writer if entry.writer.role == "job" else None
        return None


def read(path: Path) -> JournalContents:
    """Return every entry of the journal at `path` that can be read.

    Raises:
        JournalError: The file itself cannot be read.
    """
    try:
        return parse(path.read_bytes())
    except OSError as error:
        raise JournalError(f"{path}: cannot be read: {error.strerror}") from error


def parse(data: bytes) -> JournalContents:
    """Return every entry in the bytes of a journal, whatever else is among them."""
    *lines, tail = data.split(b"\n")
    entries: list[Entry] = []
    damaged: list[bytes] = []
    for line in [*lines, tail] if tail else lines:
        entry = _entry_or_none(line)
        if entry is None:
            damaged.append(line)
            entries += _inside(line)
        else:
            entries.append(entry)
    damaged_tail = bool(damaged) and bool(tail) and damaged[-1] is tail
    return JournalContents(
        tuple(entries), damaged_tail, len(damaged) - damaged_tail, tuple(damaged)
    )


def _inside(line: bytes) -> Iterator[Entry]:
    """Yield the entries in a damaged line: where a line feed was damaged, it holds two whole ones.

    Inside of an entry nothing looks like its beginning: there, quotes have a backslash.
    """
    begins = [found.start() for found in _BEGINNING.finditer(line)]
    for begin, end in pairwise([*begins, len(line)]):
        for candidate in (line[begin:end], line[begin : end - 1]):
            entry = _entry_or_none(candidate)
            if entry is not None:
                yield entry
                break


def _entry_or_none(line: bytes) -> Entry | None:
    try:
        return parse_entry(line)
    except ValueError:
        return None


def last_job(path: Path) -> Writer | None:
    """Return `JournalContents.job` of a journal; reads that one line only."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    # Nothing that was said looks like this: there, quotes have a backslash.
    begin = data.rfind(b"\n", 0, max(0, data.rfind(b'"kind":"handed_over"'))) + 1
    return parse(data[begin:].partition(b"\n")[0]).job


def has_ended(path: Path) -> bool:
    """Whether nothing follows the last line at `path`; reads the end of the file only."""
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
        file.seek(start)
        lines = file.read().split(b"\n")
    if len(lines) < 2 or lines[-1]:
        return False
    return isinstance(_entry_or_none(lines[-2]), Ended | Elsewhere)
