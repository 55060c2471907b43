"""A hundred kills: the quick version of `make chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.chaos.field import Terms, open_field
from local.chaos.run import QUICK, storm
from tests.peers.counts import tell

SEED = 5

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(600)]


async def test_after_a_hundred_kills_the_ledger_balances(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every call that was made has its one record with every turn that was final."""
    async with open_field(tmp_path / "run", Terms(seed=SEED)) as site:
        found = await storm(QUICK, site, SEED, lambda _kills, _calls: None)
    tell(
        capsys,
        f"{found.kills} kills, seed {SEED}: {found.lost} of {found.calls} records lost, "
        f"{found.missing} of {found.due} turns missing, {found.untaken} never read, "
        f"{found.invented} too many; "
        f"{found.repeated} repeated deliveries, {found.different} different, "
        f"{found.unverified} of {found.deliveries} not verified",
    )
    assert found.problems == []
    assert found.kills >= 100
    assert found.calls >= 80
    assert found.due >= 10
