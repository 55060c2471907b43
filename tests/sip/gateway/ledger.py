"""What the journals of a gateway's calls say, once it holds them no more."""

from __future__ import annotations

import asyncio

from thirdring.home import Home
from thirdring.journal import JournalContents, claim
from thirdring.record import Record, build

__all__ = ["journals", "opened_in", "record_of"]


def journals(home: Home) -> list[JournalContents]:
    """Return every journal that nobody writes to any more, as the Courier would have it."""
    found = []
    for path in sorted(home.journals.glob("*.jsonl")):
        with claim(path) as contents:
            if contents is not None:
                found.append(contents)
    return found


async def opened_in(home: Home, *, timeout: float = 15) -> None:
    """Wait until a journal is there: it becomes durable while the room is made."""
    async with asyncio.timeout(timeout):
        while not list(home.journals.glob("*.jsonl")):  # noqa: ASYNC110 - files tell no events
            await asyncio.sleep(0.005)


async def record_of(home: Home, *, timeout: float = 15) -> Record:
    """Return the record of the only call in this home, once nobody writes to its journal."""
    async with asyncio.timeout(timeout):
        while not (found := await asyncio.to_thread(journals, home)):  # noqa: ASYNC110 - files tell no events
            await asyncio.sleep(0.02)
    (contents,) = found
    return build(contents.entries)
