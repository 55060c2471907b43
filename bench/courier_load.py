"""What the courier is given to do in the benchmarks, and the programs around it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from thirdring.calls import Ending, EndReason, Leg, LegKind, Role, Turn
from thirdring.errors import PartError
from thirdring.home import Home
from thirdring.journal import Ended, Entry, Journal, Opened, TurnSpoken
from thirdring.record import build
from thirdring.store import open_store
from thirdring.store.outbox import NewRecord, Outbox

__all__ = [
    "Arrival",
    "Courier",
    "Receiver",
    "courier",
    "journal",
    "open_journal",
    "queue",
    "receiver",
]

_ROOT = Path(__file__).parents[1]
_TURNS = 12
_AT_ONCE = 500


@dataclass(frozen=True)
class Arrival:
    """One record at a receiver; `at` is when it was answered, by the monotonic clock."""

    path: str
    record_id: str
    at: float


class Receiver:
    """A receiver that runs in a process of its own."""

    def __init__(self, port: int, client: httpx.AsyncClient) -> None:
        self.port = port
        self._url = f"http://127.0.0.1:{port}"
        self._client = client

    def quick(self, name: str) -> str:
        """Return a URL that answers at once."""
        return f"{self._url}/quick/{name}"

    def hanging(self, name: str) -> str:
        """Return a URL that never answers."""
        return f"{self._url}/hang/{name}"

    async def arrivals(self) -> list[Arrival]:
        """Return what has come since this was asked the last time."""
        answer = await self._client.get(f"{self._url}/arrivals")
        return [Arrival(*each) for each in answer.json()]

    async def wait(self, count: int, timeout: float) -> list[Arrival]:
        """Return the next `count` arrivals.

        Raises:
            TimeoutError: They did not come.
        """
        found: list[Arrival] = []
        async with asyncio.timeout(timeout):
            while len(found) < count:
                await asyncio.sleep(0.05)
                found += await self.arrivals()
        return found


@dataclass
class Courier:
    """A courier that runs in a process of its own.

    Attributes:
        cpu_seconds: What it took of a core in all; known when it has been stopped.
    """

    pid: int
    cpu_seconds: float = 0.0


@asynccontextmanager
async def receiver(core: int = -1) -> AsyncIterator[Receiver]:
    """Run a receiver, on one core if told so."""
    process = await _started("bench.courier_receiver")
    try:
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        if core >= 0 and sys.platform == "linux":
            os.sched_setaffinity(process.pid, {core})
        # One for all that is asked: to make one takes as long as twenty deliveries.
        async with httpx.AsyncClient(trust_env=False) as client:
            yield Receiver(port, client)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def courier(home: Home, urls: Mapping[str, str], *, core: int = -1) -> AsyncIterator[Courier]:
    """Run a courier whose businesses have these webhooks; its log goes to the home's `logs`.

    Raises:
        PartError: It did not end well.
    """
    home.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = home.logs / "courier.log"
    process = await _started(
        "bench.courier_process", str(home.root), str(core), json.dumps(urls), log=log
    )
    running = Courier(process.pid)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        said, _ = await process.communicate()
        if process.returncode:
            raise PartError(f"the courier has failed; see {log}")
        running.cpu_seconds = float(said)


async def _started(
    module: str, *arguments: str, log: Path | None = None
) -> asyncio.subprocess.Process:
    with (log or Path(os.devnull)).open("ab") as errors:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            cwd=_ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors if log else None,
        )


def _entries(call_id: str, business: str) -> list[Entry]:
    """Return a call of two minutes that is just over."""
    now = datetime.now(UTC)
    leg = Leg(
        call_id=call_id,
        kind=LegKind.SIP,
        identity="sip_+12025550199",
        caller="+12025550199",
        called="+12025550142",
    )
    first = Opened(
        at=now,
        leg=leg,
        business=business,
        line="+12025550142",
        workflow="patient_questions",
        model="gpt-realtime",
        room=call_id,
        job=f"AJ_{call_id}",
    )
    turns = [
        TurnSpoken(
            at=now,
            turn=Turn(
                id=f"item_{number}",
                role=(Role.CALLER, Role.AGENT)[number % 2],
                text="Do you have anything on Friday afternoon, or early on Monday? " * 2,
                started_at=now + timedelta(seconds=number * 10),
                ended_at=now + timedelta(seconds=number * 10 + 8),
            ),
        )
        for number in range(_TURNS)
    ]
    ending = Ending(reason=EndReason.CALLER_HUNG_UP, at=now + timedelta(seconds=_TURNS * 10))
    return [first, *turns, Ended(at=ending.at, ending=ending)]


async def journal(home: Home, call_id: str, business: str) -> None:
    """Write the journal of a call that is over when this returns."""
    first, *others = _entries(call_id, business)
    assert isinstance(first, Opened)
    opened = await asyncio.to_thread(Journal.create, home.journals, first)
    async with opened as written:
        for entry in others:
            written.append(entry)


def open_journal(home: Home, call_id: str) -> Journal:
    """Return the journal of a call that goes on until it is closed."""
    first = _entries(call_id, "quick")[0]
    assert isinstance(first, Opened)
    return Journal.create(home.journals, first)


async def queue(home: Home, call_ids: Sequence[str], business: str) -> None:
    """Put records into the outbox, as an outage leaves them."""
    async with open_store(home, {}) as store:
        outbox = Outbox(store)
        for start in range(0, len(call_ids), _AT_ONCE):
            some = call_ids[start : start + _AT_ONCE]
            await outbox.put([_record(call_id, business) for call_id in some], datetime.now(UTC))


def _record(call_id: str, business: str) -> NewRecord:
    record = build(_entries(call_id, business))
    return NewRecord(
        call_id=call_id,
        record_id=record.id,
        business=business,
        body=record.model_dump_json().encode(),
        sinks=("webhook",),
        caller=record.caller_number,
        opened_at=record.opened_at,
        ended_at=record.ended_at,
        reason=record.ending.reason,
    )
