"""The same tests for both stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from tests.peers.postgresql import Postgresql
from thirdring.home import Home
from thirdring.store import Store, open_store


@pytest.fixture(params=["sqlite", "postgresql"])
def store_environ(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """Return the environment that names an empty store of each kind."""
    if request.param == "sqlite":
        return {}
    server: Postgresql = request.getfixturevalue("postgresql")
    return {"THIRDRING_STORE": server.fresh()}


@pytest.fixture
def another(tmp_path: Path, store_environ: Mapping[str, str]) -> Callable[[], Store]:
    """Return what opens the store of this test once more."""
    return lambda: open_store(Home(tmp_path), store_environ)


@pytest.fixture
async def store(another: Callable[[], Store]) -> AsyncIterator[Store]:
    """Return the store of this test."""
    async with another() as opened:
        yield opened
