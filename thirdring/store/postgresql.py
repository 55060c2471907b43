"""The PostgreSQL database that several machines share (extra `postgres`).

A commit is as durable as the server makes it: by default it is on its disk when it returns
(postgresql.org/docs, "synchronous_commit").
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, dict_row

from thirdring.errors import StoreError
from thirdring.store.store import Connection, Cursor
from thirdring.store.threaded import Deadline, ThreadedStore, migrations

__all__ = ["PostgresqlStore", "understood"]

T = TypeVar("T")

_Session = psycopg.Connection[DictRow]

_AGAIN = (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)

_READS = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Of READ COMMITTED, whatever the server's default: what follows `Connection.lock` must see what the
# one before has committed.
_WRITES = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

# A server whose machine is gone must not hold us for longer than one use of the store may wait.
_DEAD_PEER = {
    "tcp_user_timeout": 5000,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}


def understood(url: str) -> bool:
    """Return whether libpq reads a URL as it was meant.

    A password with a `/`, `?` or `@` that is not percent-encoded ends up in host, port or name of
    the database, and from there in error messages.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        return False
    ports = str(parts.get("port", "")).split(",")
    named = f"{parts.get('host', '')}{parts.get('dbname', '')}"
    return all(not port or port.isdecimal() for port in ports) and "@" not in named


class PostgresqlStore(ThreadedStore):
    """The store in a PostgreSQL database."""

    def __init__(self, url: str, *, patience: float | None = None) -> None:
        super().__init__(patience)
        self._url = url
        parts = conninfo_to_dict(url)
        self._password = str(parts.get("password") or "")
        place = f"{parts.get('host') or 'local socket'}:{parts.get('port') or 5432}"
        self._name = f"PostgreSQL at {place}, database {parts.get('dbname') or '(none)'}"
        self._options: dict[str, Any] = {
            key: value for key, value in _DEAD_PEER.items() if key not in parts
        }
        self._session: _Session | None = None

    def _transact(self, work: Callable[[Connection], T], deadline: Deadline, *, writes: bool) -> T:
        while True:
            kept = self._session is not None
            try:
                return self._once(work, deadline, writes=writes)
            except _AGAIN as error:
                if not deadline.left():
                    raise self._failure(error) from error
            except psycopg.Error as error:
                lost = self._session is None or self._session.broken
                if lost:
                    self._disconnect()
                # The server was started anew since we last heard of it: nothing to worry about.
                if not (lost and kept and deadline.left()):
                    raise self._failure(error) from error

    def _once(self, work: Callable[[Connection], T], deadline: Deadline, *, writes: bool) -> T:
        session = self._connected(deadline)
        milliseconds = max(1, int(deadline.left() * 1000))
        begin = _WRITES if writes else _READS
        # One round trip.
        _run(session, f"{begin}; SET LOCAL statement_timeout = {milliseconds}")
        try:
            done = work(_Connection(session))
        except BaseException:
            with suppress(psycopg.Error):
                _run(session, "ROLLBACK")
            raise
        _run(session, "COMMIT")
        return done

    def _connected(self, deadline: Deadline) -> _Session:
        if self._session is None:
            session = psycopg.connect(
                self._url,
                autocommit=True,
                row_factory=dict_row,
                application_name="thirdring",
                connect_timeout=max(1, int(deadline.left())),
                **self._options,
            )
            try:
                self._migrate(session)
            except BaseException:
                session.close()
                raise
            self._session = session
        return self._session

    def _disconnect(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            session.close()

    def _interrupt(self) -> None:
        session = self._session
        if session is not None:
            # The thread that waits for an answer wakes up, and finds the connection lost.
            with (
                suppress(OSError, psycopg.Error),
                socket.socket(fileno=os.dup(session.fileno())) as line,
            ):
                line.shutdown(socket.SHUT_RDWR)

    def _failure(self, error: psycopg.Error) -> StoreError:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        why = lines[0].strip()
        if self._password:
            why = why.replace(self._password, "***")
        if isinstance(error, psycopg.errors.QueryCanceled):
            why = "it took longer than anybody waits for it"
        return StoreError(
            f"{self._name}: cannot be used as the store: {why}; see that the server runs and that "
            "THIRDRING_STORE names it, its database, and a user who may use that"
        )

    def _migrate(self, session: _Session) -> None:
        scripts = migrations("postgresql")
        version = _version(session)
        while version < len(scripts):
            # Two that start at once take turns; the second finds the work done.
            _run(session, "BEGIN ISOLATION LEVEL READ COMMITTED")
            try:
                _Connection(session).lock("thirdring migrations")
                version = _version(session)
                if version < len(scripts):
                    _run(session, scripts[version])
                    version += 1
                    _run(session, "DROP TABLE IF EXISTS schema_version")
                    _run(session, f"CREATE TABLE schema_version AS SELECT {version} AS version")
            except BaseException:
                _run(session, "ROLLBACK")
                raise
            _run(session, "COMMIT")
        if version > len(scripts):
            raise StoreError(
                f"{self._name}: written by a newer Thirdring (version {version}, this one knows "
                f"{len(scripts)}); start that one, or let THIRDRING_STORE name another database"
            )


class _Connection:
    skip_locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, session: _Session) -> None:
        self._session = session

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor:
        return cast("Cursor", self._session.execute(_translated(sql), _plain(parameters)))

    def executemany(self, sql: str, parameters: Sequence[Sequence[object]]) -> None:
        with self._session.cursor() as cursor:
            cursor.executemany(_translated(sql), [_plain(row) for row in parameters])

    def lock(self, name: str) -> None:
        self.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))


def _run(session: _Session, sql: str) -> None:
    """Run statements of ours, any number of them, without parameters."""
    session.execute(sql)


def _version(session: _Session) -> int:
    # Not `to_regclass`: within a transaction it may have forgotten that somebody else made it.
    found = session.execute(
        "SELECT 1 AS there FROM pg_tables"
        " WHERE schemaname = current_schema() AND tablename = 'schema_version'"
    ).fetchone()
    if found is None:
        return 0
    row = session.execute("SELECT version FROM schema_version").fetchone()
    return 0 if row is None else int(row["version"])


@lru_cache(maxsize=256)
def _translated(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _plain(parameters: Sequence[object]) -> list[Any]:
    return [_plain_value(value) for value in parameters]


def _plain_value(value: object) -> object:
    # psycopg sends the name of an enumeration's member, and PostgreSQL's text has no NUL.
    if isinstance(value, Enum):
        return value.value
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
