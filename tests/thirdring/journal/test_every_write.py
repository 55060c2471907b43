"""Killed after any write, any sync, any rename of a whole call: there is its one record."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from tests.peers.endpoint import Endpoint, serving
from tests.peers.stopping import can_stop
from tests.samples import business, settings
from thirdring.courier import run
from thirdring.home import Home
from thirdring.record import Record, record_id

ROOT = Path(__file__).parents[3]
TURNS = ("t1", "t3", "t6")
CALL = """
import asyncio, sys
from pathlib import Path

from tests.samples import at, business, ended, opened, settings, spoken, used
from thirdring.courier import run
from thirdring.home import Home
from thirdring.journal import Answered, DigitPressed, Journal, Ringing, ToolBegun

home, url, acknowledged = Home(Path(sys.argv[1])), sys.argv[2], open(sys.argv[3], "ab", buffering=0)
begun = used(4).use.model_copy(update={"result": None, "ended_at": None})

async def call():
    ringing = await asyncio.to_thread(Ringing.open, home.journals, opened(business=None))
    journal = await asyncio.to_thread(Journal.take, home.journals, opened())
    await asyncio.to_thread(ringing.release)
    for entry in (
        Answered(at=at(0)), spoken(1), DigitPressed(at=at(2), digit="1"), spoken(3),
        ToolBegun(at=at(4), use=begun), used(4), spoken(6),
    ):
        journal.append(entry)
        await journal.flush()
        if entry.kind == "turn":
            acknowledged.write(b"t")
    journal.append(ended(9))
    await journal.close()
    acknowledged.write(b"e")
    await run(home, settings(business(url=url)), once=True)
    acknowledged.write(b"d")

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(call())
"""


@pytest.fixture
def copies() -> Iterator[Path]:
    """Return a folder in memory: hundreds of homes with a store each."""
    memory = Path("/dev/shm")  # noqa: S108 - what is in it gets a random name
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.skipif(not can_stop(), reason="this machine does not let a program be stopped")
async def test_every_write_leaves_a_home_that_recovers(
    tmp_path: Path, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the INVITE to the delivery: all that was acknowledged, and nothing twice."""
    home, authority = tmp_path / "home", tmp_path / "authority.pem"
    home.mkdir()
    # Reading all that there are would take longer than everything else.
    trustme.CA().cert_pem.write_to_path(str(authority))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    async with serving() as endpoint:
        told = [str(home), endpoint.url, str(copies / "acknowledged")]
        command = [sys.executable, "-m", "tests.peers.stopping", str(home), str(copies)]
        stopping = await asyncio.create_subprocess_exec(
            *command, sys.executable, "-c", CALL, *told, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(stopping.communicate(), 60)
        done = json.loads(output)
        assert done["failed"] == 0
        (whole,) = endpoint.arrivals
        found = set()
        states = sorted(copies.glob("[0-9]*"))
        for state in states:
            found.add(await _recover(state, endpoint, whole.body))
            shutil.rmtree(state)
    assert found == {"nothing", "interrupted", "caller_hung_up"}
    assert (len(states), done["states"] > 40) == (done["states"], True)
    print(f"{done['points']} points, {len(states)} states, 0 lost")  # noqa: T201 - beside the zero


async def _recover(state: Path, endpoint: Endpoint, whole: bytes) -> str:
    """Let a courier go on with a copy of the home; return how the record says the call ended."""
    home = Home(state / "home")
    acknowledged = (state / "acknowledged").read_bytes()
    known = bool(list(home.root.glob("*/*.jsonl")))
    endpoint.arrivals.clear()
    await run(home, settings(business(url=endpoint.url)), once=True)
    with closing(sqlite3.connect(home.store)) as store:
        bodies = [bytes(row[0]) for row in store.execute("SELECT body FROM records")]
        states = [row[0] for row in store.execute("SELECT state FROM deliveries")]
    assert not list(home.journals.glob("*.jsonl*"))
    assert len(list(home.archive.glob("*.jsonl"))) == known
    assert [arrival.headers["webhook-id"] for arrival in endpoint.arrivals] in (
        [],
        [str(record_id("call-1"))],
    )
    assert all(arrival.body == bodies[0] for arrival in endpoint.arrivals)
    if not known:
        assert (bodies, states, acknowledged) == ([], [], b"")
        return "nothing"
    (body,) = bodies
    record = Record.model_validate_json(body)
    turns = tuple(turn.id for turn in record.turns)
    assert turns == TURNS[: len(turns)]
    assert len(turns) >= acknowledged.count(b"t")
    if b"e" in acknowledged:
        assert body == whole
    if record.business is not None:
        assert states == ["delivered"]
    assert b"d" not in acknowledged or not endpoint.arrivals
    return record.ending.reason
