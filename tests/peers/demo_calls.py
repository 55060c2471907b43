"""Calls of the callers of workflows' demos to a running stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from local.demo.plan import load_plan, number_of
from local.parts.stack import Stack
from tests.peers.calls import call, new_number, wait_for_record
from thirdring import workflow
from thirdring.calls import EndReason
from thirdring.record import Record
from thirdring.store import Row
from thirdring.store.sqlite import SqliteStore

__all__ = ["HEARD_OUT", "booked", "played"]

WORKFLOWS = Path(__file__).parents[2] / "workflows"

HEARD_OUT: dict[str, Any] = {"wait": {"silence_ms": 1500, "timeout_s": 40}}
"""The step of a caller who lets the agent finish."""


async def played(stack: Stack, name: str) -> Record:
    """Return the record of a demo's call from a new number, which the agent has ended."""
    caller = new_number()
    plan = load_plan(workflow.discover()[name], WORKFLOWS)
    result = await call(stack, plan.script, caller=caller, called=number_of(name, stack.settings))
    record = await wait_for_record(stack, caller)
    assert (result.completed, result.ended_by) == (True, "far_end"), result.problem
    assert record.ending.reason is EndReason.COMPLETED
    return record


async def booked(stack: Stack, record: Record) -> Row:
    """Return the only appointment of a call."""
    async with SqliteStore(stack.home.store) as store:
        (row,) = await store.read(
            lambda connection: connection.execute(
                "SELECT * FROM appointments WHERE call_id = ?", (record.call_id,)
            ).fetchall()
        )
    return row
