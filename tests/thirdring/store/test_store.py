"""What holds for every store, and what only for the SQLite file."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thirdring.errors import StoreError
from thirdring.store import Connection, Row, Store, from_text, to_text
from thirdring.store.sqlite import SqliteStore
from thirdring.store.threaded import GRACE_SECONDS, PATIENCE_SECONDS

EARLIEST = datetime(1970, 1, 2)  # noqa: DTZ001 - hypothesis adds the zone
ROOT = Path(__file__).parents[3]
OPEN_IT = """
import asyncio, json, sys
from pathlib import Path
from thirdring.home import Home
from thirdring.store import open_store

async def main():
    async with open_store(Home(Path(sys.argv[1])), json.loads(sys.argv[2])) as store:
        await store.connect()

asyncio.run(main())
"""
HOLD_IT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for pragma in sys.argv[2:]:
    connection.execute(pragma)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def numbers(connection: Connection) -> list[Row]:
    return connection.execute("SELECT * FROM reference_numbers").fetchall()


async def test_processes_may_open_a_new_store_at_once(
    tmp_path: Path, store_environ: Mapping[str, str]
) -> None:
    """Jobs and couriers that start together all get a store."""
    arguments = ("-c", OPEN_IT, str(tmp_path), json.dumps(dict(store_environ)))
    starts = [
        asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT) for _ in range(4)
    ]
    processes = await asyncio.gather(*starts)
    assert [await process.wait() for process in processes] == [0] * 4


async def test_a_failed_write_leaves_nothing(store: Store) -> None:
    """A transaction that raises has not happened, and the next one works."""

    def fail(connection: Connection) -> None:
        connection.execute("INSERT INTO reference_numbers VALUES ('a', 1)")
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(fail)
    assert await store.read(numbers) == []


async def test_a_mistake_in_sql_is_a_store_error(store: Store) -> None:
    """Nobody who uses the store knows whose database it is."""
    with pytest.raises(StoreError):
        await store.read(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert await store.read(numbers) == []


async def test_a_read_sees_one_moment(store: Store, another: Callable[[], Store]) -> None:
    """What others write meanwhile is not half in it."""
    async with another() as other:
        await other.connect()
        loop = asyncio.get_running_loop()

        def look(connection: Connection) -> tuple[list[Row], list[Row]]:
            before = numbers(connection)
            written = asyncio.run_coroutine_threadsafe(
                other.write(
                    lambda c: c.execute("INSERT INTO reference_numbers VALUES ('a', 1)").rowcount
                ),
                loop,
            )
            assert written.result(timeout=20) == 1
            return before, numbers(connection)

        assert await store.read(look) == ([], [])
    assert len(await store.read(numbers)) == 1


async def test_concurrent_writes_take_turns(store: Store, another: Callable[[], Store]) -> None:
    """Whoever holds a lock has what was written before; none is lost."""

    def add(connection: Connection) -> None:
        connection.lock("numbers")
        row = connection.execute("SELECT max(last) AS n FROM reference_numbers").fetchone()
        number = ((row and row["n"]) or 0) + 1
        connection.execute("INSERT INTO reference_numbers VALUES (?, ?)", (str(number), number))

    async with another() as other:
        await asyncio.gather(*(one.write(add) for one in (store, other) for _ in range(20)))
    assert max(row["last"] for row in await store.read(numbers)) == 40


async def test_a_closed_store_says_so(store: Store) -> None:
    """Closing it twice is fine, using it is not."""
    await store.read(numbers)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="has been closed"):
        await store.read(numbers)


async def test_a_new_file_is_ready_private_and_durable(tmp_path: Path) -> None:
    """A store that was never there can be used at once, by its owner only."""
    path = tmp_path / "home" / "store.db"
    async with SqliteStore(path) as store:
        settings = await store.read(
            lambda c: [*c.execute("PRAGMA journal_mode"), *c.execute("PRAGMA synchronous")]
        )
    assert settings == [{"journal_mode": "wal"}, {"synchronous": 2}]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    """A call that needs no store makes none."""
    async with SqliteStore(tmp_path / "store.db"):
        pass
    assert list(tmp_path.iterdir()) == []


async def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """A file of a later version is refused in words."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    async with SqliteStore(path) as store:
        with pytest.raises(StoreError, match=r"store\.db: written by a newer .* \(version 99"):
            await store.connect()


async def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    """Anything else under that name is refused, not overwritten, with the way out."""
    path = tmp_path / "store.db"
    text = "not a database, but long enough to look at" * 10
    path.write_text(text)
    async with SqliteStore(path) as store:
        with pytest.raises(StoreError, match=r"store\.db: cannot be used .* move the file away"):
            await store.connect()
    assert path.read_text() == text


async def test_a_damaged_file_says_how_to_go_on(tmp_path: Path) -> None:
    """Overwritten in use: the message names the way out, and it leads out without a restart."""
    path = tmp_path / "store.db"
    async with SqliteStore(path) as store:
        await store.write(
            lambda c: c.execute("INSERT INTO reference_numbers VALUES ('a', 1)").rowcount
        )
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(bytes(size))
        with pytest.raises(StoreError, match=r"docs/records\.md says how"):
            async with SqliteStore(path) as other:
                await other.connect()
        for name in ("store.db", "store.db-wal", "store.db-shm"):
            (tmp_path / name).rename(tmp_path / f"{name}.damaged")
        assert await store.read(numbers) == []


async def test_a_path_that_takes_no_file_is_named(tmp_path: Path) -> None:
    """A folder in its place, or a file in its folder's, is said in one line."""
    (tmp_path / "folder" / "store.db").mkdir(parents=True)
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder" / "store.db", tmp_path / "file" / "store.db"):
        async with SqliteStore(path) as store:
            with pytest.raises(StoreError, match=f"{path}: cannot be used as the store: "):
                await store.connect()


def test_nobody_waits_longer_than_five_seconds() -> None:
    """That long a caller may hear nothing from a tool."""
    assert PATIENCE_SECONDS + GRACE_SECONDS <= 5


@asynccontextmanager
async def held(path: Path, *pragmas: str) -> AsyncIterator[None]:
    """Let another process keep the file locked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLD_IT, str(path), *pragmas,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    try:
        yield
    finally:
        await process.communicate(b"")


async def test_a_locked_file_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process writes, each of many writers hears so, none much later; reads work."""
    monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.5)
    async with SqliteStore(tmp_path / "store.db") as store:
        await store.connect()
        async with held(tmp_path / "store.db"):
            began = time.monotonic()
            uses = [store.write(numbers) for _ in range(5)]
            got = await asyncio.gather(*uses, return_exceptions=True)
            assert time.monotonic() - began < 0.5 + GRACE_SECONDS + 0.5
            assert ["has kept the store locked" in str(error) for error in got] == [True] * 5
            assert await store.read(numbers) == []
        assert await store.write(numbers) == []


async def test_a_file_that_another_has_to_itself_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then not even a connection can be had; when it is free again, the next use gets one."""
    path = tmp_path / "store.db"
    async with SqliteStore(path) as maker:
        await maker.connect()
    monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.5)
    async with SqliteStore(path) as store:
        async with held(path, "PRAGMA locking_mode = EXCLUSIVE"):
            began = time.monotonic()
            got = await asyncio.gather(
                store.read(numbers), store.write(numbers), return_exceptions=True
            )
            assert time.monotonic() - began < 0.5 + GRACE_SECONDS + 0.5
            assert [type(error) for error in got] == [StoreError] * 2
        assert await store.read(numbers) == []


async def test_a_store_that_is_being_made_elsewhere_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for another process that brings it up to date hears that it is locked."""
    monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.1)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        async with SqliteStore(tmp_path / "store.db") as store:
            with pytest.raises(StoreError, match="has kept the store locked"):
                await store.read(numbers)
    finally:
        os.close(folder)


@given(st.lists(st.datetimes(EARLIEST, timezones=st.timezones()), max_size=5))
def test_text_sorts_as_time(moments: list[datetime]) -> None:
    """Times come back equal, and their texts are in their order."""
    assert [from_text(to_text(moment)) for moment in moments] == [
        moment.astimezone(UTC) for moment in moments
    ]
    texts = sorted(map(to_text, moments))
    assert texts == [to_text(m) for m in sorted(moments, key=lambda m: m.astimezone(UTC))]
