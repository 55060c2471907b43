"""Reading a journal back, whole or not."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from thirdring.errors import JournalError
from thirdring.journal.entries import Elsewhere, Ended, Entry, HandedOver, Opened, parse_entry
from thirdring.journal.locks import ringing_path
from thirdring.journal.writer import Writer

__all__ = ["JournalContents", "has_ended", "is_owned", "parse", "read"]

_TAIL_BYTES = 65536


@dataclass(frozen=True)
class JournalContents:
    """What could be read of a journal.

    Attributes:
        damaged_tail: The last line is not whole: its writer died while it wrote.
        damaged_lines: Whole lines that are no entries; they are left out.
        damaged: All that is no entry, in its order, the tail too.
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
        """The last job that took the journal; None while the phone rings, or when not known."""
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
    damaged_lines = 0
    for line in lines:
        entry = _entry_or_none(line)
        if entry is not None:
            entries.append(entry)
            continue
        damaged_lines += 1
        damaged.append(line)
    last = _entry_or_none(tail) if tail else None
    if last is not None:
        entries.append(last)
    elif tail:
        damaged.append(tail)
    return JournalContents(
        tuple(entries), bool(tail) and last is None, damaged_lines, tuple(damaged)
    )


def _entry_or_none(line: bytes) -> Entry | None:
    try:
        return parse_entry(line)
    except ValueError:
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
    """Whether a living process still writes to the journal at `path`, or rings for it."""
    return any(map(_is_locked, (ringing_path(path), path)))


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
