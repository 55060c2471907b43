"""The SQLite file of one machine: opened, migrated, and used without blocking the event loop.

What is in it is the business of the modules that own a table: `thirdring.store.appointments` and
`thirdring.store.outbox`. Job processes and the Courier share the file; a commit is durable when it
returns (WAL with synchronous=FULL, sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from thirdring.errors import PhoneError

__all__ = ["Store", "from_text", "to_text"]

_MIGRATIONS = Path(__file__).parent / "migrations" / "sqlite"
_BUSY_SECONDS = 5

T = TypeVar("T")


def to_text(moment: datetime) -> str:
    """Return a time as it stands in the file: UTC, sorted like the times themselves."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Return the time that `to_text` wrote."""
    return datetime.fromisoformat(text)


class Store:
    """One connection to the file; leaving the context closes it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        # Threads of asyncio.to_thread take turns on the connection.
        self._turn = Lock()

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file at `path`, made or brought up to date as needed.

        Raises:
            PhoneError: The file is newer than this program, is no database, or cannot be written.
        """
        return cls(await asyncio.to_thread(_connect, path))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; may be called again."""
        await asyncio.to_thread(self._close)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` finds."""
        return await asyncio.to_thread(self._read, work)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction: all of it is durable, or nothing has happened.

        A cancelled caller does not stop it: what writes must bear being asked twice.
        """
        return await asyncio.to_thread(self._write, work)

    def _close(self) -> None:
        with self._turn:
            self._connection.close()

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._turn:
            return work(self._connection)

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._turn:
            # IMMEDIATE: a transaction that reads first and then writes cannot fail half-way
            # because another process wrote in between.
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                return work(self._connection)


def _connect(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error
    try:
        connection.row_factory = sqlite3.Row
        # Two processes that turn a new file to WAL at once: one of them gets "database is locked"
        # in spite of the timeout. So they take turns.
        with _locked(path.parent):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            _migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _unusable(path: Path, error: Exception) -> PhoneError:
    return PhoneError(f"{path}: cannot be used as the store: {error}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    scripts = sorted(_MIGRATIONS.glob("*.sql"))
    version = _version(connection)
    if version == len(scripts):
        return
    if version > len(scripts):
        raise PhoneError(
            f"{path}: written by a newer Thirdring (version {version}, this one knows "
            f"{len(scripts)}); start that one, or set THIRDRING_HOME to another folder"
        )
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for script in scripts[version:]:
            for statement in _statements(script.read_text(encoding="utf-8")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(scripts)}")


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        version: int = cursor.fetchone()[0]
    return version


def _statements(script: str) -> Iterator[str]:
    # Not `executescript`: that commits first, and a migration must be one transaction.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
