"""From the caller's BYE to the webhook's 2xx, over real SIP calls with the reflex as the model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.courier_load import Receiver, receiver
from local.caller.call import open_call
from local.caller.packets import UtteranceKind
from local.caller.performer import BURST
from local.parts import programs
from local.parts.part import running
from local.parts.ports import free_port
from local.parts.stack import Ports, Stack, Wanted, stack
from thirdring.home import Home
from thirdring.journal import file_name
from thirdring.store import Connection, from_text, open_store

__all__ = ["CallEnd", "measure_calls"]

_CONFIG: Final = Path("thirdring.yaml")
_WARM_UP: Final = 3
_PATIENCE: Final = 30.0


@dataclass(frozen=True)
class CallEnd:
    """The end of one call, in milliseconds; the stages add up to `total`.

    Attributes:
        to_ended: From the BYE to the ending in the journal.
        to_record: From there until its record is made and goes to the store.
        to_answer: From there until it is stored, posted and answered.
    """

    total: float
    to_ended: float
    to_record: float
    to_answer: float


async def measure_calls(home: Home, calls: int, on_call: Callable[[int], None]) -> list[CallEnd]:
    """Run all parts, place calls one after the other and hang each up while the agent is silent.

    Raises:
        PhoneError: A part does not start, or a call goes wrong.
        TimeoutError: A record did not come.
    """
    async with receiver() as there:
        ports = Ports(receiver=there.port)
        wanted = Wanted(reflex=True, worker=True)
        async with stack(home, ports=ports, wanted=wanted) as parts:
            part = programs.courier(
                home.logs / "courier.log", config=_CONFIG, port=free_port(), env=parts.environ
            )
            async with running((replace(part, after=()),)):
                found = []
                for number in range(-_WARM_UP, calls):
                    end = await _measured(home, parts, there)
                    if number >= 0:
                        found.append(end)
                        on_call(number + 1)
                return found


async def _measured(home: Home, parts: Stack, there: Receiver) -> CallEnd:
    host, port = parts.sip_address
    async with open_call(f"sip:{parts.number}@{host}:{port}") as call:
        await call.wait_for_answer()
        await asyncio.wait_for(asyncio.shield(call.hearing.first), _PATIENCE)
        await call.play(BURST, "burst", UtteranceKind.BURST)
        await call.hearing.silence(0.4)
    # As the journal and the store tell the time.
    wall = time.time() - time.monotonic()
    bye = call.log().ended_at
    (arrival,) = await there.wait(1, _PATIENCE)
    call_id, stored_at = await _stored(home, arrival.record_id)
    ended_at = await asyncio.to_thread(_written_at, home.archive / file_name(call_id))
    answered_at = arrival.at + wall
    return CallEnd(
        total=(answered_at - bye - wall) * 1000,
        to_ended=(ended_at - bye - wall) * 1000,
        to_record=(stored_at - ended_at) * 1000,
        to_answer=(answered_at - stored_at) * 1000,
    )


async def _stored(home: Home, record_id: str) -> tuple[str, float]:
    def work(connection: Connection) -> tuple[str, float]:
        row = connection.execute(
            "SELECT call_id, stored_at FROM records WHERE record_id = ?", (record_id,)
        ).fetchone()
        assert row is not None, "it has been delivered"
        return row["call_id"], from_text(row["stored_at"]).timestamp()

    async with open_store(home, {}) as store:
        return await store.read(work)


def _written_at(archived: Path) -> float:
    deadline = time.monotonic() + _PATIENCE
    while not archived.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return archived.stat().st_mtime
