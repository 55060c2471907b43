"""A disk that is full and a store that is locked: the call goes on, its record comes."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.chaos.obstacles import Outcome, full_disk, locked_store
from tests.peers.counts import tell

pytestmark = [pytest.mark.server, pytest.mark.alone]


def _say(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    figures = ", ".join(f"{name} {value}" for name, value in outcome.figures.items())
    tell(capsys, f"{outcome.name}: {figures}")
    assert outcome.problems == []


async def test_a_call_goes_on_while_the_disk_is_full(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm within a second, answers all the while, and nothing is missing or corrupt after."""
    _say(await full_disk(tmp_path / "run"), capsys)


async def test_a_call_does_not_notice_that_the_store_is_locked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is answered and journaled; its record comes when the lock has gone."""
    _say(await locked_store(tmp_path / "run", 4), capsys)
