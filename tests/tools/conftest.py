"""What tests of tools share: a store, and a call in it whose agent has the tools of the module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.peers.tool_calls import Conversation, calling
from thirdring.store import Store
from thirdring.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store."""
    async with SqliteStore(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
async def call(store: Store, request: pytest.FixtureRequest) -> AsyncIterator[Conversation]:
    """Return a call to the clinic whose agent has the `TOOLS` of the test's module."""
    async with calling(store, request.module.TOOLS) as conversation:
        yield conversation
