"""Journals are shown while they are written."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from local.demo.following import entries, new_journals
from tests.samples import ended, opened, plain, spoken
from thirdring.journal import Entry, Journal

HANG = 20.0


async def read(path: Path) -> list[Entry]:
    async with asyncio.timeout(HANG):
        return [plain(entry) async for entry in entries(path)]


async def test_entries_come_as_they_are_written(tmp_path: Path) -> None:
    """Each is there before the next one is written; the ending is the last."""
    async with Journal.create(tmp_path, opened()) as journal:
        following = entries(journal.path)
        assert plain(await asyncio.wait_for(anext(following), HANG)) == opened()
        for entry in (spoken(1), spoken(2), ended(3)):
            journal.append(entry)
            assert plain(await asyncio.wait_for(anext(following), HANG)) == entry
    with pytest.raises(StopAsyncIteration):
        await anext(following)


async def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    """A reader may come between two writes."""
    path = tmp_path / "call.jsonl"
    whole = b"".join(e.model_dump_json().encode() + b"\n" for e in (opened(), ended(1)))
    path.write_bytes(whole[:-20])
    following = entries(path)
    assert await asyncio.wait_for(anext(following), HANG) == opened()
    coming = asyncio.ensure_future(anext(following))
    assert not (await asyncio.wait([coming], timeout=0.2))[0]
    with path.open("ab") as file:
        file.write(whole[-20:])
    assert await asyncio.wait_for(coming, HANG) == ended(1)


async def test_a_journal_may_be_moved_while_it_is_read(tmp_path: Path) -> None:
    """The Courier takes it away as soon as the call has ended."""
    async with Journal.create(tmp_path, opened()) as journal:
        following = entries(journal.path)
        await anext(following)
        journal.path.rename(tmp_path / "archived.jsonl")
        journal.append(ended(1))
        assert plain(await asyncio.wait_for(anext(following), HANG)) == ended(1)


async def test_each_journal_is_found_once(tmp_path: Path) -> None:
    """The folder may not exist yet; drafts and other files are no journals."""
    folder = tmp_path / "journals"
    found = new_journals(folder)
    first = asyncio.ensure_future(anext(found))
    assert not (await asyncio.wait([first], timeout=0.1))[0]
    async with Journal.create(folder, opened("call-1")) as one:
        (folder / "notes.txt").touch()
        assert await asyncio.wait_for(first, HANG) == one.path
        async with Journal.create(folder, opened("call-2")) as two:
            assert await asyncio.wait_for(anext(found), HANG) == two.path
    await found.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_an_ended_journal_is_read_to_its_end(tmp_path: Path) -> None:
    """Who comes late sees the whole call."""
    async with Journal.create(tmp_path, opened()) as journal:
        journal.append(ended(1))
    assert await read(journal.path) == [opened(), ended(1)]
