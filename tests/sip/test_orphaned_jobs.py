"""What a killed worker leaves behind: nothing that lasts."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from local.chaos.field import Terms, open_field
from tests.peers.counts import tell
from tests.peers.room_phone import room_phone
from tests.peers.whole_call import PHONE
from thirdring.calls import EndReason
from thirdring.record import Record

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

CEILING = 60.0
"""Seconds; a hang, not a measure."""

PINGS = 6.0
"""Seconds in which the worker pings each of its processes at least twice."""


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != "zombie"]


async def until(done: Callable[[], object]) -> None:
    async with asyncio.timeout(CEILING):
        while not done():  # noqa: ASYNC110 - other processes decide
            await asyncio.sleep(0.1)


async def answer_to_nobody(worker: int, jobs: list[psutil.Process]) -> None:
    """Let the jobs answer pings that a worker, stopped by then, will never read."""
    for job in jobs:
        job.suspend()
    await asyncio.sleep(PINGS)
    os.kill(worker, signal.SIGSTOP)
    for job in jobs:
        job.resume()
    await asyncio.sleep(1)


async def test_a_killed_worker_leaves_no_process_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its jobs, idle or in a call, and what they were forked from end; the call has its record."""
    async with open_field(tmp_path / "run", Terms(idle=2, gateway=False)) as site:
        worker, journals = site.programs["worker"], site.stack.home.journals
        active = PHONE | {"sip.callStatus": "active"}
        environ = site.stack.environ
        async with room_phone(environ, "orphan", attributes=active, metadata="") as phone:
            await asyncio.wait_for(phone.sound.wait(), CEILING)
            left = worker.children()
            jobs = [one for one in left if one.ppid() != worker.pid]
            assert len(jobs) >= 2, "one is in the call, one is warm for the next"
            assert list(journals.glob("*.jsonl"))
            await answer_to_nobody(worker.pid, jobs)
            worker.kill()
            began = time.monotonic()
            await until(lambda: not alive(left))
            seconds = time.monotonic() - began
            await until(lambda: site.receiver.received)
        tell(capsys, f"{len(left)} of {len(left)} processes gone {seconds:.1f} s after kill -9")
        record = Record.model_validate_json(site.receiver.received[0].body)
    assert record.ending.reason is EndReason.INTERRUPTED
