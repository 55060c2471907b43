"""What tests of the courier share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers import postgresql as peer
from thirdring.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home of its own."""
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[peer.Postgresql]:
    """Run a PostgreSQL that these tests may stop and start."""
    with peer.running() as server:
        yield server
