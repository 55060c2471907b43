"""Reads journals while they are written, the way `tail -F` would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from thirdring.journal import Ended, Entry, parse_entry

__all__ = ["entries", "new_journals"]

_LOOK_EVERY = 0.05


async def new_journals(folder: Path) -> AsyncIterator[Path]:
    """Yield each journal that appears in `folder`, once, for ever."""
    seen: set[Path] = set()
    while True:
        for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
            if path not in seen:
                seen.add(path)
                yield path
        await asyncio.sleep(_LOOK_EVERY)


async def entries(path: Path) -> AsyncIterator[Entry]:
    """Yield the entries of a journal as they become durable, up to and with its ending.

    The Courier may move the file meanwhile; it stays open here. A journal whose job died has no
    ending, so this may wait until it is cancelled.
    """
    with path.open("rb") as file:
        rest = b""
        while True:
            rest += file.read()
            *lines, rest = rest.split(b"\n")
            for line in lines:
                entry = parse_entry(line)
                yield entry
                if isinstance(entry, Ended):
                    return
            await asyncio.sleep(_LOOK_EVERY)
