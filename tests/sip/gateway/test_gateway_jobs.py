"""A job that dies while the phone rings: the next one goes on with its journal."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.parts import programs
from local.parts.part import running
from local.parts.ports import free_port
from tests.parity.raw_phone import raw_phone
from tests.peers.calls import new_number
from tests.peers.scripted_model import ScriptedModel
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.ledger import record_of
from thirdring.calls import EndReason, Role
from thirdring.home import Home
from thirdring.journal import HandedOver, Opened, TurnSpoken, read

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

_CONFIGURATION = Path(__file__).parents[3] / "thirdring.yaml"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").made()


@pytest.fixture
async def dying_worker(
    livekit: dict[str, str], model: ScriptedModel, home: Home, tmp_path: Path
) -> AsyncIterator[Path]:
    """Run a worker whose first job dies; return the file that is there once it has."""
    mark = tmp_path / "died"
    env = {
        **livekit,
        "THIRDRING_HOME": str(home.root),
        "THIRDRING_WEBHOOK_URL": "http://127.0.0.1:9/",
        "THIRDRING_WEBHOOK_SECRET": "whsec_" + "A" * 40,
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": model.server.url,
        "DYING_WORKER_MARK": str(mark),
    }
    part = programs.worker(
        tmp_path / "worker.log", config=_CONFIGURATION, port=free_port(), warm_processes=2, env=env
    )
    argv = (sys.executable, "-m", "tests.peers.dying_worker", "start")
    async with running([replace(part, argv=argv, after=())]):
        yield mark


async def test_a_job_killed_while_it_rings_is_replaced_and_the_record_is_that_of_the_whole_call(
    run_gateway: RunGateway, dying_worker: Path, home: Home
) -> None:
    """A real job process dies by -9; the next one takes the journal, and the caller is greeted."""
    async with (
        run_gateway(home=home) as address,
        raw_phone((address.host, address.port), new_number()) as phone,
    ):
        phone.invite(LINE)
        await phone.established()
        assert dying_worker.exists()
        (path,) = home.journals.glob("*.jsonl")
        async with asyncio.timeout(20):
            while not any(isinstance(one, TurnSpoken) for one in read(path).entries):  # noqa: ASYNC110 - files tell no events
                await asyncio.sleep(0.05)
        writers = [
            entry.writer for entry in read(path).entries if isinstance(entry, Opened | HandedOver)
        ]
        await phone.bye()
        record = await record_of(home)
    roles = [writer.role for writer in writers if writer is not None]
    assert roles == ["gateway", "job", "job"]
    assert len({writer.pid for writer in writers if writer is not None}) == 3
    assert record.ending.reason is EndReason.CALLER_HUNG_UP
    assert [turn.role for turn in record.turns] == [Role.AGENT]
