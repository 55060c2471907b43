from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdring.errors import PhoneError
from thirdring.store import Connection, from_text, to_text
from thirdring.store.sqlite import SqliteStore

EARLIEST = datetime(1970, 1, 2)  # noqa: DTZ001 - hypothesis adds the zone
ROOT = Path(__file__).parents[3]
OPEN_IT = """
import asyncio, sys
from pathlib import Path
from thirdring.store.sqlite import SqliteStore

async def main():
    async with SqliteStore(Path(sys.argv[1])) as store:
        await store.connect()

asyncio.run(main())
"""


async def test_a_new_file_is_ready_and_private(tmp_path: Path) -> None:
    """A store that was never there can be used at once, by its owner only."""
    path = tmp_path / "home" / "store.db"
    async with SqliteStore(path) as store:
        tables = await store.read(
            lambda c: {row["name"] for row in c.execute("SELECT name FROM sqlite_schema")}
        )
        settings = await store.read(
            lambda c: [*c.execute("PRAGMA journal_mode"), *c.execute("PRAGMA synchronous")]
        )
    assert {"appointments", "records", "deliveries"} <= tables
    assert settings == [{"journal_mode": "wal"}, {"synchronous": 2}]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Jobs and courier that start together all get a store."""
    starts = [
        asyncio.create_subprocess_exec(
            sys.executable, "-c", OPEN_IT, str(tmp_path / "store.db"), cwd=ROOT
        )
        for _ in range(4)
    ]
    processes = await asyncio.gather(*starts)
    assert [await process.wait() for process in processes] == [0] * 4


async def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """A transaction that raises has not happened."""

    def fail(connection: Connection) -> None:
        connection.execute("INSERT INTO reference_numbers VALUES ('a', 1)")
        raise LookupError

    async with SqliteStore(tmp_path / "store.db") as store:
        with pytest.raises(LookupError):
            await store.write(fail)
        count = await store.read(lambda c: c.execute("SELECT * FROM reference_numbers").fetchall())
    assert count == []


async def test_concurrent_writes_take_turns(tmp_path: Path) -> None:
    """Tasks may write at the same time; none is lost."""

    def add(connection: Connection) -> None:
        row = connection.execute("SELECT max(last) AS n FROM reference_numbers").fetchone()
        number = ((row and row["n"]) or 0) + 1
        connection.execute("INSERT INTO reference_numbers VALUES (?, ?)", (str(number), number))

    path = tmp_path / "store.db"
    async with SqliteStore(path) as one, SqliteStore(path) as other:
        await asyncio.gather(*(store.write(add) for store in (one, other) for _ in range(20)))
        last = await one.read(
            lambda c: c.execute("SELECT max(last) AS n FROM reference_numbers").fetchall()
        )
    assert last == [{"n": 40}]


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """A file of a later version is refused in words."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(PhoneError, match=r"store\.db: written by a newer Thirdring \(version 99"):
        await SqliteStore(path).connect()


async def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    """Anything else under that name is refused, not overwritten."""
    path = tmp_path / "store.db"
    path.write_text("not a database, but long enough to look at" * 10)
    with pytest.raises(PhoneError, match=r"store\.db: cannot be used as the store"):
        await SqliteStore(path).connect()


async def test_a_path_that_takes_no_file_is_named(tmp_path: Path) -> None:
    """A folder in its place, or a file in its folder's, is said in one line."""
    (tmp_path / "folder" / "store.db").mkdir(parents=True)
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder" / "store.db", tmp_path / "file" / "store.db"):
        with pytest.raises(PhoneError, match=f"{path}: cannot be used as the store: "):
            await SqliteStore(path).connect()


@given(st.lists(st.datetimes(EARLIEST, timezones=st.timezones()), max_size=5))
def test_text_sorts_as_time(moments: list[datetime]) -> None:
    """Times come back equal, and their texts are in their order."""
    assert [from_text(to_text(moment)) for moment in moments] == [
        moment.astimezone(UTC) for moment in moments
    ]
    texts = sorted(map(to_text, moments))
    assert texts == [to_text(m) for m in sorted(moments, key=lambda m: m.astimezone(UTC))]
