from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.samples import at, ended, opened, plain, spoken, used
from thirdring.calls import EndReason, ToolUse
from thirdring.errors import CallTaken, JournalError
from thirdring.journal import (
    Entry,
    Journal,
    ToolUsed,
    file_name,
    has_ended,
    is_owned,
    read,
)


def entries_of(path: Path) -> list[Entry]:
    """Return what was appended to a journal, without what it was stamped with."""
    return [plain(entry) for entry in read(path).entries]


async def test_the_opening_is_durable_at_once(tmp_path: Path) -> None:
    """When create returns, the file says which call it is."""
    async with Journal.create(tmp_path / "journals", opened()) as journal:
        assert entries_of(journal.path) == [opened()]


async def test_entries_come_back_in_order(tmp_path: Path) -> None:
    """What was appended is read again, equal and in order."""
    entries: list[Entry] = [spoken(1), used(2), spoken(3), ended(4)]
    async with Journal.create(tmp_path, opened()) as journal:
        for entry in entries:
            journal.append(entry)
        await journal.flush()
        assert entries_of(journal.path) == [opened(), *entries]


async def test_a_call_has_one_journal(tmp_path: Path) -> None:
    """A second job of the same call is told so, and the first one's journal is untouched."""
    async with Journal.create(tmp_path, opened()) as journal:
        with pytest.raises(CallTaken, match="call-1"):
            Journal.create(tmp_path, opened())
    assert entries_of(journal.path) == [opened()]
    assert [journal.path] == list(tmp_path.iterdir())


async def test_the_first_ending_wins(tmp_path: Path) -> None:
    """Nothing follows an ending, another ending neither."""
    async with Journal.create(tmp_path, opened()) as journal:
        journal.append(ended(1))
        journal.append(ended(2, EndReason.LIMIT_REACHED))
        journal.append(spoken(3))
        assert journal.ended == ended(1).ending
    assert entries_of(journal.path) == [opened(), ended(1)]


async def test_the_lock_tells_whether_the_owner_lives(tmp_path: Path) -> None:
    """A journal is owned until it is closed."""
    async with Journal.create(tmp_path, opened()) as journal:
        assert is_owned(journal.path)
    assert not is_owned(journal.path)


async def test_has_ended_reads_the_last_line(tmp_path: Path) -> None:
    """Only a whole last line that is an ending counts."""
    async with Journal.create(tmp_path, opened()) as journal:
        journal.append(spoken(1, text='"kind":"ended"'))
        await journal.flush()
        assert not has_ended(journal.path)
        journal.append(ended(2))
        await journal.flush()
        assert has_ended(journal.path)
    journal.path.write_bytes(journal.path.read_bytes()[:-1])
    assert not has_ended(journal.path)


async def test_half_a_character_does_not_stop_a_call(tmp_path: Path) -> None:
    """A lone surrogate in what a model wrote is replaced, not raised."""
    use = ToolUse(id="u", name="n", arguments={"a": "x\ud800"}, started_at=at(1), ended_at=at(1))
    async with Journal.create(tmp_path, opened()) as journal:
        journal.append(ToolUsed(at=at(1), use=use))
    last = read(journal.path).entries[-1]
    assert isinstance(last, ToolUsed)
    assert last.use.arguments == {"a": "x?"}


def test_a_missing_journal_is_named(tmp_path: Path) -> None:
    """The error says which file and why."""
    with pytest.raises(JournalError, match=r"nothing\.jsonl: cannot be read: No such file"):
        read(tmp_path / "nothing.jsonl")


@given(st.text(), st.text())
def test_names_are_safe_and_differ(one: str, other: str) -> None:
    """Any call id gives a plain file name of its own."""
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}\.jsonl", file_name(one))
    assert (file_name(one) == file_name(other)) == (one == other)


@pytest.mark.parametrize("call_id", ["SCL_a-1", "../../etc/passwd", "a@10.0.0.1", "x" * 500, ""])
def test_names_of_common_ids(call_id: str) -> None:
    """A plain id stays readable; a path stays in its folder."""
    name = file_name(call_id)
    assert Path(name).name == name
    assert (name == f"{call_id}.jsonl") == (call_id == "SCL_a-1")
