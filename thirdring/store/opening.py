"""Which store there is: the SQLite file in the home folder."""

from __future__ import annotations

from collections.abc import Mapping

from thirdring.home import Home
from thirdring.store.sqlite import SqliteStore
from thirdring.store.store import Store

__all__ = ["open_store"]


def open_store(home: Home, environ: Mapping[str, str]) -> Store:
    """Return the store; nothing is connected yet."""
    return SqliteStore(home.store)
