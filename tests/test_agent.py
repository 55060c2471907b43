"""Whole calls: a SIP caller, the gateway, livekit-server, the worker, a model, a record."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import wave
from collections import Counter
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from local.parts.stack import Stack
from tests.peers.calls import call, new_number, records, script, wait_for_record
from thirdring.calls import EndReason, Role

pytestmark = [pytest.mark.server, pytest.mark.alone]

GREETED = {"wait": {"silence_ms": 600}}
HEARD = {"wait": {"agent_speaks": True}}


def _active_jobs(stack: Stack) -> int:
    worker = next(part for part in stack.parts if part.name == "worker")
    with urlopen(str(worker.address)) as answer:  # noqa: S310 - loopback
        return int(json.load(answer).get("active_jobs", 0))


def _silence_at_the_end(wav: Path) -> float:
    with wave.open(str(wav)) as file:
        stereo = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)
        loud = np.flatnonzero(np.abs(stereo[:, 1]) > 300)
        return float((len(stereo) - loud[-1]) / file.getframerate())


def _ring(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "ring.py", *arguments],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "THIRDRING_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_caller_asks_and_is_answered(stack: Stack) -> None:
    """A question is heard, answered by a tool, and both stand in the record."""
    caller = new_number()
    asked = script(GREETED, {"say": "What are your opening hours?"}, GREETED, "hang_up")
    result = await call(stack, asked, caller=caller)
    record = await wait_for_record(stack, caller)
    assert result.completed, result.problem
    assert record.ending.reason is EndReason.CALLER_HUNG_UP
    assert [use.name for use in record.tool_uses] == ["opening_hours"]
    assert [turn.role for turn in record.turns] == [Role.AGENT, Role.CALLER, Role.AGENT]
    assert "hours" in record.turns[1].text.lower()
    assert "9 AM" in record.turns[2].text


async def test_the_agent_hangs_up_after_its_last_word(stack: Stack, tmp_path: Path) -> None:
    """The goodbye is heard to its end, then the line closes."""
    wav = tmp_path / "goodbye.wav"
    caller = new_number()
    goodbye = script(GREETED, {"say": "That is all, thank you. Goodbye."}, {"wait_hang_up": 20})
    result = await call(stack, goodbye, caller=caller, wav=wav)
    record = await wait_for_record(stack, caller)
    assert (result.completed, result.ended_by) == (True, "far_end"), result.problem
    assert record.ending.reason is EndReason.COMPLETED
    assert "goodbye" in record.turns[-1].text.lower()
    # The tail of 300 ms, less what lies between the worker's playout and the caller's ear.
    assert _silence_at_the_end(wav) >= 0.1


async def test_an_interrupted_agent_stops_and_the_record_says_so(stack: Stack) -> None:
    """Speaking over the greeting stops it, from its first words on."""
    caller = new_number()
    over = {"interrupt": {"after_ms": 300, "say": "Excuse me, what are your opening hours please?"}}
    result = await call(stack, script(over, GREETED, "hang_up"), caller=caller)
    record = await wait_for_record(stack, caller)
    assert result.completed, result.problem
    assert result.measures.turns[0].barge_in_ms is not None
    assert record.turns[0].interrupted or record.turns[0].role is Role.CALLER


async def test_keys_reach_the_record(stack: Stack) -> None:
    """What the caller presses is noted in order."""
    caller = new_number()
    await call(
        stack, script(GREETED, {"press": "12#"}, {"pause_ms": 300}, "hang_up"), caller=caller
    )
    record = await wait_for_record(stack, caller)
    assert "".join(digit.digit for digit in record.digits) == "12#"


async def test_a_slot_is_free_two_seconds_after_the_caller_hung_up(stack: Stack) -> None:
    """The job of a call ends with it."""
    caller = new_number()
    await call(stack, script(HEARD, "hang_up"), caller=caller)
    async with asyncio.timeout(2):
        while await asyncio.to_thread(_active_jobs, stack):  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.02)
    await wait_for_record(stack, caller)


async def test_twenty_calls_in_a_row_are_all_answered_and_recorded(stack: Stack) -> None:
    """No call is lost, none is recorded twice."""
    caller = new_number()
    for _ in range(20):
        result = await call(stack, script(HEARD, {"pause_ms": 200}, "hang_up"), caller=caller)
        assert result.completed, result.problem
    async with asyncio.timeout(20):
        while len(records(stack, caller)) < 20:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.05)
    ids = Counter(record.call_id for record in records(stack, caller))
    assert set(ids.values()) == {1}
    assert len(ids) == 20


async def test_five_calls_at_once_are_all_answered_and_recorded(stack: Stack) -> None:
    """A burst is answered like single calls are."""
    callers = [new_number() for _ in range(5)]
    at_once = script(GREETED, "hang_up")
    results = await asyncio.gather(*(call(stack, at_once, caller=each) for each in callers))
    assert [result.problem for result in results] == [None] * 5
    found = await asyncio.gather(*(wait_for_record(stack, each) for each in callers))
    assert {record.ending.reason for record in found} == {EndReason.CALLER_HUNG_UP}


async def test_no_log_names_a_whole_number_of_a_caller(stack: Stack) -> None:
    """Gateway, worker and courier show the last digits only, and so do their libraries."""
    caller = new_number()
    await call(stack, script(HEARD, "hang_up"), caller=caller)
    await wait_for_record(stack, caller)
    logs = {name: stack.log_paths[name].read_text() for name in ("gateway", "worker", "courier")}
    assert [name for name, text in logs.items() if caller in text] == []
    assert "+…" in logs["gateway"] + logs["worker"]


def test_the_demo_plays_one_whole_call(tmp_path: Path) -> None:
    """The command that a newcomer runs first says that everything happened."""
    demo = _ring("demo", home=tmp_path)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    folder = next((tmp_path / "demo").iterdir())
    for name in ("recording.wav", "record.json", "webhook.jsonl"):
        assert str(folder / name) in demo.stdout.replace("\n", "")
        assert (folder / name).stat().st_size > 0
