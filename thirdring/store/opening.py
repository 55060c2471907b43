"""Which store there is: the SQLite file in the home folder, or the database that is named."""

from __future__ import annotations

from collections.abc import Mapping

from thirdring.errors import ConfigError, Problem
from thirdring.home import Home
from thirdring.store.sqlite import SqliteStore
from thirdring.store.store import Store

__all__ = ["open_store"]

_VARIABLE = "THIRDRING_STORE"
_EXPECTED = "postgresql://user:password@host:5432/database, or nothing for SQLite"


def open_store(home: Home, environ: Mapping[str, str], *, patience: float | None = None) -> Store:
    """Return the store; nothing is connected yet.

    Args:
        patience: How many seconds any one use may wait; as long as a caller, unless told otherwise.

    Raises:
        ConfigError: `THIRDRING_STORE` names no store, or one for which a package is missing.
    """
    url = environ.get(_VARIABLE)
    if not url:
        return SqliteStore(home.store, patience=patience)
    if not url.startswith(("postgresql://", "postgres://")):
        raise _problem("is not the URL of a store", _EXPECTED)
    try:
        # A package that only those need who have such a store.
        from thirdring.store.postgresql import PostgresqlStore, understood  # noqa: PLC0415
    except ImportError as error:
        raise _problem(
            "names a PostgreSQL database, and psycopg is not installed",
            "the extra: uv sync --inexact --extra postgres",
        ) from error
    if not understood(url):
        raise _problem(
            "cannot be understood",
            f"{_EXPECTED}; with %40 for @, %2F for / and so on in user and password",
        )
    return PostgresqlStore(url, patience=patience)


def _problem(what: str, expected: str) -> ConfigError:
    # Without the value: there is a password in it.
    return ConfigError([Problem("environment", 0, 0, _VARIABLE, what, None, expected)])
