"""The SQLite file of one machine; job processes and the Courier share it.

A commit is durable when it returns: WAL with synchronous=FULL
(sqlite.org/pragma.html#pragma_synchronous).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from thirdring.errors import StoreError
from thirdring.home import NO_ROOM
from thirdring.store.store import Connection, Cursor
from thirdring.store.threaded import Deadline, ThreadedStore, migrations

__all__ = ["SqliteStore"]

T = TypeVar("T")

# The main code of an error is its low byte (sqlite.org/rescode.html, "extended result codes").
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class SqliteStore(ThreadedStore):
    """The store in a file of this machine."""

    def __init__(self, path: Path, *, patience: float | None = None) -> None:
        super().__init__(patience)
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    def _transact(self, work: Callable[[Connection], T], deadline: Deadline, *, writes: bool) -> T:
        try:
            connection = self._connected(deadline)
            _be_patient(connection, deadline)
            # IMMEDIATE: a transaction that reads first and then writes cannot fail half-way
            # because another process wrote in between.
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            with connection:
                return work(_Connection(connection))
        except (OSError, sqlite3.Error) as error:
            if _code(error) not in _BUSY:
                self._disconnect()
            raise _failure(self._path, error) from error

    def _connected(self, deadline: Deadline) -> sqlite3.Connection:
        if self._connection is not None and self._inode != _inode(self._path):
            # It was moved away; nobody would find what is written to it.
            self._disconnect()
        if self._connection is None:
            self._connection = _connect(self._path, deadline)
            self._inode = _inode(self._path)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _interrupt(self) -> None:
        """The deadline is SQLite's own; a disk that hangs cannot be interrupted."""


class _Connection:
    skip_locked = ""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor:
        return cast("Cursor", self._connection.execute(sql, cast("Any", parameters)))

    def executemany(self, sql: str, parameters: Sequence[Sequence[object]]) -> None:
        self._connection.executemany(sql, cast("Any", parameters))

    def lock(self, name: str) -> None:
        """Whoever writes is alone (BEGIN IMMEDIATE)."""


def _by_name(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _be_patient(connection: sqlite3.Connection, deadline: Deadline) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(deadline.left() * 1000)}")


def _connect(path: Path, deadline: Deadline) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = _by_name
        # Two processes that turn a new file to WAL at once: one of them gets "database is locked"
        # in spite of the timeout. So they take turns.
        with _locked(path.parent, deadline):
            _be_patient(connection, deadline)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _failure(path: Path, error: Exception) -> StoreError:
    if _code(error) in _BUSY or isinstance(error, BlockingIOError):
        return StoreError(f"{path}: another process has kept the store locked for too long")
    if _code(error) in _BROKEN:
        return StoreError(
            f"{path}: cannot be used as the store: {error}. Stop worker and courier, move the file "
            "away together with its -wal and -shm, and start them again; docs/records.md says how "
            "to make its records anew from the archived journals"
        )
    if _code(error) == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in NO_ROOM:
        return StoreError(f"{path}: the disk is full; make room there")
    return StoreError(f"{path}: cannot be used as the store: {error}")


@contextmanager
def _locked(folder: Path, deadline: Deadline) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not deadline.left():
                    raise
                time.sleep(0.005)
        yield
    finally:
        os.close(descriptor)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    scripts = migrations("sqlite")
    version = _version(connection)
    if version > len(scripts):
        raise StoreError(
            f"{path}: written by a newer Thirdring (version {version}, this one knows "
            f"{len(scripts)}); start that one, or set THIRDRING_HOME to another folder"
        )
    for number, script in enumerate(scripts[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        version: int = cursor.fetchone()["user_version"]
    return version


def _statements(script: str) -> Iterator[str]:
    # Not `executescript`: that commits first, and a migration must be one transaction.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
