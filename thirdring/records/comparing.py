"""One journal against the record that was made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from thirdring.calls import EndReason
from thirdring.errors import JournalError
from thirdring.journal import read
from thirdring.record import Record, build

__all__ = ["Remade", "difference", "remade"]

_SHOWN = 4


@dataclass(frozen=True)
class Remade:
    """What a journal gives when it is read again.

    Attributes:
        record: None when the journal does not say which call it is, or cannot be read.
        elsewhere: The record is made on another machine.
        gone: Somebody has moved the journal meanwhile.
        damaged_lines: Lines that are no entries.
        torn: The last line is not whole.
        problem: Why it cannot be read.
    """

    path: Path
    record: Record | None = None
    elsewhere: bool = False
    gone: bool = False
    damaged_lines: int = 0
    torn: bool = False
    problem: str | None = None


def remade(path: Path) -> Remade:
    """Return what is made of the journal at `path`; whatever is wrong with it is in the result."""
    try:
        contents = read(path)
    except JournalError as error:
        return Remade(path, gone=not path.exists(), problem=str(error))
    if contents.elsewhere or contents.opened is None:
        return Remade(path, None, contents.elsewhere, damaged_lines=contents.damaged_lines)
    record = build(contents.entries)
    return Remade(path, record, damaged_lines=contents.damaged_lines, torn=contents.damaged_tail)


def difference(record: Record, stored: bytes) -> str | None:
    """Return where the stored record is not the one that its journal gives; None when it is.

    A record of an older version is compared by what it says, for the bytes cannot be the same.
    """
    if record.model_dump_json().encode() == stored:
        return None
    try:
        old = Record.model_validate_json(stored)
    except ValidationError:
        return "the stored record is damaged"
    if old.version < record.version:
        record = _as_of_old(record, old)
        if record == old:
            return None
    ours, theirs = json.loads(record.model_dump_json()), json.loads(stored)
    names = [name for name in ours if ours[name] != theirs.get(name)] or ["the order of its fields"]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"other {', '.join(names[:_SHOWN])}{more}"


def _as_of_old(record: Record, old: Record) -> Record:
    """Return a record with what version 1 did not have, or took from the file's time."""
    ending = record.ending.model_copy(update={"by": old.ending.by})
    changes: dict[str, object] = {"version": old.version, "ending": ending}
    if record.ending.reason is EndReason.INTERRUPTED:
        changes |= {"ended_at": old.ended_at, "duration_seconds": old.duration_seconds}
    return record.model_copy(update=changes)
