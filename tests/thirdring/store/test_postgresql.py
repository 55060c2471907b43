"""What holds for a store in PostgreSQL only: where it is, who may use it, and its absence."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.peers.postgresql import ENCODED, PASSWORD, Postgresql
from tests.samples import at
from tests.thirdring.store.test_outbox import CLINIC, claim, new
from tests.thirdring.store.test_store import numbers
from thirdring.errors import ConfigError, StoreError
from thirdring.home import Home
from thirdring.store import Connection, Store, open_store
from thirdring.store.outbox import Outbox
from thirdring.store.threaded import GRACE_SECONDS


def at_url(url: str) -> Store:
    return open_store(Home(Path("nowhere")), {"THIRDRING_STORE": url})


@pytest.fixture
async def store(postgresql: Postgresql) -> AsyncIterator[Store]:
    async with at_url(postgresql.fresh()) as opened:
        yield opened


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ring:hunter2@127.0.0.1/ring",
        "hunter2",
        "sqlite:///hunter2.db",
        "postgresql://ring:hunter2/x@127.0.0.1/ring",
        "postgresql://ring:12/hunter2@127.0.0.1/ring",
        "postgresql://ring:x@hunter2@127.0.0.1/ring",
        "postgresql://ring:hunter2@127.0.0.1:port/ring",
        "postgresql://ring:hunter2%zz@127.0.0.1/ring",
        "postgresql://ring:hunter2@127.0.0.1/ring?nonsense=1",
        "postgresql://ring:hunter2@[::1/ring",
    ],
)
def test_a_wrong_url_is_refused_at_once(url: str) -> None:
    """With what would be right, and nothing of what may be a password."""
    with pytest.raises(ConfigError) as caught:
        at_url(url)
    message = str(caught.value)
    assert message.startswith("environment THIRDRING_STORE: ")
    assert "expected postgresql://user:password@host:5432/database" in message
    assert "hunter2" not in message


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has such a URL and not the package hears how to get it."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "thirdring.store.postgresql")
    remedy = r"psycopg is not installed; .* uv sync --inexact --extra postgres"
    with pytest.raises(ConfigError, match=remedy):
        at_url("postgresql://127.0.0.1/ring")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (ENCODED, "wr0ng%40pass", "password authentication failed"),
        ("//ring:", "//nobody:", "password authentication failed"),
        (":{port}/ring", ":{port}/nowhere", 'database "nowhere" does not exist'),
        (":{port}", ":1", "refused"),
        ("127.0.0.1", "nowhere.invalid", "nowhere.invalid"),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(
    postgresql: Postgresql, old: str, new: str, why: str
) -> None:
    """Which database, what is wrong with it, how to mend it; the password is never shown."""
    old, new = (part.format(port=postgresql.port) for part in (old, new))
    url = postgresql.url().replace(old, new)
    async with at_url(url) as store:
        with pytest.raises(StoreError) as caught:
            await store.connect()
    message = str(caught.value)
    assert message.startswith("PostgreSQL at ")
    assert why in message
    assert "see that the server runs and that THIRDRING_STORE names it" in message
    assert "\n" not in message
    for secret in (PASSWORD, ENCODED, "wr0ng", "s3cret"):
        assert secret not in message


async def test_a_newer_database_is_left_alone(postgresql: Postgresql) -> None:
    """A database of a later version is refused in words."""
    url = postgresql.fresh()
    async with at_url(url) as store:
        await store.connect()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    async with at_url(url) as store:
        with pytest.raises(StoreError, match=r"database ring: written by a newer .* \(version 99"):
            await store.connect()


async def test_a_server_that_was_started_anew_is_not_noticed(
    postgresql: Postgresql, store: Store
) -> None:
    """While it is down, each use says so at once; afterwards the next one works."""
    outbox = Outbox(store)
    await outbox.put([new("c1")], at(0))
    await asyncio.to_thread(postgresql.stop)
    try:
        began = time.monotonic()
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot be used as the store"):
                await outbox.counts()
        assert time.monotonic() - began < 5
    finally:
        await asyncio.to_thread(postgresql.start)
    assert len(await claim(outbox, 1, free={CLINIC: 8})) == 1
    await asyncio.to_thread(postgresql.stop)
    await asyncio.to_thread(postgresql.start)
    assert await outbox.record("c1") == b"{}"


async def test_a_crashed_server_keeps_what_was_stored(postgresql: Postgresql, store: Store) -> None:
    """Every record that was acknowledged is there after a crash of the whole server."""
    outbox = Outbox(store)
    for number in range(20):
        await outbox.put([new(f"c{number}")], at(number))
    await asyncio.to_thread(postgresql.crash)
    await asyncio.to_thread(postgresql.start)
    there = [number for number in range(20) if await outbox.record(f"c{number}") is not None]
    assert there == list(range(20))
    print(f"n = {len(there)}, 0 lost")  # noqa: T201


async def test_a_server_that_says_nothing_is_given_up_in_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds nobody up, and the store works again with the next connection."""
    monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.5)

    def backend(connection: Connection) -> int:
        row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
        assert row is not None
        return int(row["pid"])

    process = await store.read(backend)
    os.kill(process, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(StoreError, match="does not answer"):
            await store.read(numbers)
        assert time.monotonic() - began < 0.5 + GRACE_SECONDS + 0.5
        assert await store.read(numbers) == []
    finally:
        os.kill(process, signal.SIGCONT)


async def test_a_lock_of_another_is_given_up_in_time(
    postgresql: Postgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever needs a row that somebody else keeps hears so, and may try again."""
    url = postgresql.fresh()
    async with at_url(url) as store:
        await store.write(
            lambda c: c.execute("INSERT INTO reference_numbers VALUES ('a', 1)").rowcount
        )
        monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.5)
        with psycopg.connect(url) as other:
            other.execute("UPDATE reference_numbers SET last = 2")
            with pytest.raises(StoreError, match="longer than anybody waits"):
                await store.write(
                    lambda c: c.execute("UPDATE reference_numbers SET last = 3").rowcount
                )
        assert await store.read(numbers) == [{"business": "a", "last": 2}]
