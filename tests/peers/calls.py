"""Calls to a running stack, and the records they leave."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

from local.caller import CallResult, Script, place_call
from local.parts.stack import Stack
from thirdring.record import Record

__all__ = ["call", "new_number", "records", "script", "wait_for_record"]

_LAST_DIGITS = itertools.count(100)


def new_number() -> str:
    """Return a caller that no other test has: by it a test finds the record of its call."""
    return f"+1202555{next(_LAST_DIGITS):04d}"


def script(*steps: Any, rtp: bool = True) -> Script:
    """Return a caller's script; a bare word is a step without options."""
    named = [{step: True} if isinstance(step, str) else step for step in steps]
    return Script.model_validate({"steps": named, "rtp": rtp})


async def call(
    stack: Stack, script: Script, *, caller: str, called: str | None = None, wav: Path | None = None
) -> CallResult:
    """Dial a line of the stack, the first one unless told otherwise."""
    host, port = stack.sip_address
    target = f"sip:{called or stack.number}@{host}:{port}"
    return await place_call(target, script, caller=caller, recording=wav)


def records(stack: Stack, caller: str) -> list[Record]:
    """Return the records of this caller's calls that have reached the webhook, each verified."""
    found = []
    for line in stack.received.read_bytes().splitlines() if stack.received.exists() else ():
        delivery = json.loads(line)
        record = Record.model_validate_json(json.dumps(delivery["body"]))
        if record.caller_number == caller:
            assert delivery["verified"] is True
            found.append(record)
    return found


async def wait_for_record(stack: Stack, caller: str) -> Record:
    """Return the record of the caller's only call once it has been delivered."""
    async with asyncio.timeout(20):
        while not (found := records(stack, caller)):  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)
    assert len(found) == 1
    return found[0]
