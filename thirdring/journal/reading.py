"""Reading a journal back, whole or not."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from thirdring.errors import JournalError
from thirdring.journal.entries import Ended, Entry, parse_entry

__all__ = ["JournalContents", "has_ended", "is_owned", "read"]

_TAIL_BYTES = 65536


@dataclass(frozen=True)
class JournalContents:
    """What could be read of a journal.

    Attributes:
        damaged_tail: The last line is not whole: its writer died while it wrote.
        damaged_lines: Whole lines that are no entries; they are left out.
    """

    entries: tuple[Entry, ...]
    damaged_tail: bool = False
    damaged_lines: int = 0


def read(path: Path) -> JournalContents:
    """Return every entry of the journal at `path` that can be read.

    Raises:
        JournalError: The file itself cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"{path}: cannot be read: {error.strerror}") from error
    *lines, tail = data.split(b"\n")
    entries = [entry for entry in map(_entry_or_none, lines) if entry is not None]
    damaged_lines = len(lines) - len(entries)
    last = _entry_or_none(tail) if tail else None
    if last is not None:
        entries.append(last)
    return JournalContents(tuple(entries), bool(tail) and last is None, damaged_lines)


def _entry_or_none(line: bytes) -> Entry | None:
    try:
        return parse_entry(line)
    except ValidationError:
        return None


def has_ended(path: Path) -> bool:
    """Whether the last line at `path` is an `Ended`; reads the end of the file only."""
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
        file.seek(start)
        lines = file.read().split(b"\n")
    if len(lines) < 2 or lines[-1]:
        return False
    return isinstance(_entry_or_none(lines[-2]), Ended)


def is_owned(path: Path) -> bool:
    """Whether a living process still writes to the journal at `path`."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
