"""What a caller hears when the model, or the disk, is no use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from livekit import rtc

from sip.answering import Switchboard
from tests.peers.scripted_model import ScriptedModel
from tests.peers.whole_call import Calls
from tests.thirdring.store.test_store import held
from thirdring.calls import EndReason
from thirdring.fixed_lines import FixedLine, duration
from thirdring.home import Home
from thirdring.journal import Ended, Entry, ToolUsed
from thirdring.store.sqlite import SqliteStore

pytestmark = pytest.mark.server

HEARD = 20.0
"""Seconds until a phone in the room hears what was said; a hang, not a measure."""


@asynccontextmanager
async def model_that(*, listens: bool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Serve a model that takes every session and says nothing, or drops each at once."""

    async def realtime(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while listens and (await socket.receive()).type is WSMsgType.TEXT:
            pass
        await socket.close()
        return socket

    app = web.Application()
    app.router.add_get("/v1/realtime", realtime)
    async with TestServer(app) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", str(server.make_url("/v1")))
        yield


def ended(entries: list[Entry]) -> Ended:
    last = entries[-1]
    assert isinstance(last, Ended)
    return last


@pytest.mark.parametrize(
    ("listens", "detail"), [(True, "did not begin to speak"), (False, "was lost 5 times")]
)
async def test_a_model_that_never_speaks_is_given_up(
    calling: Calls, monkeypatch: pytest.MonkeyPatch, listens: bool, detail: str
) -> None:
    """The caller hears a fixed line and is hung up, though no error was called final."""
    async with model_that(listens=listens, monkeypatch=monkeypatch), calling() as call:
        await call.job.answer()
        await call.open_line()
        await asyncio.wait_for(call.phone.sound.wait(), HEARD)
        entries = await call.job.finish()
        assert await asyncio.wait_for(call.phone.gone, HEARD) == rtc.DisconnectReason.ROOM_DELETED
    assert ended(entries).ending.reason is EndReason.MODEL_FAILED
    assert detail in (ended(entries).ending.detail or "")


async def test_a_caller_who_leaves_is_not_told_the_rest(calling: Calls) -> None:
    """A refusal stops with the call: its job holds no slot to speak to nobody."""
    now = asyncio.get_running_loop().time
    async with calling(metadata="not json") as call:
        answering = asyncio.create_task(call.job.answer())
        await asyncio.wait_for(call.phone.sound.wait(), HEARD)
        began = now()
        await call.phone.room.disconnect()
        await answering
        assert now() - began < duration(FixedLine.NOT_IN_SERVICE)
        entries = await call.job.finish()
    assert ended(entries).ending.reason is EndReason.ABANDONED


async def test_without_a_journal_nobody_is_left_waiting(
    calling: Calls, board: Switchboard, tmp_path: Path
) -> None:
    """A disk that takes nothing gets the caller an apology, then the room is gone."""
    (tmp_path / "file").touch()
    async with calling(replace(board, home=Home(tmp_path / "file"))) as call:
        await call.job.answer()
        assert call.phone.sound.is_set()
        assert call.job.over.result() == "no journal"
        assert await asyncio.wait_for(call.phone.gone, HEARD) == rtc.DisconnectReason.ROOM_DELETED


@asynccontextmanager
async def no_store(
    board: Switchboard, how: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """Let the store be locked by another process, or be a server that does not run."""
    if how == "down":
        monkeypatch.setenv("THIRDRING_STORE", "postgresql://ring:secret@127.0.0.1:1/ring")
        yield
        return
    async with SqliteStore(board.home.store) as maker:
        await maker.connect()
    async with held(board.home.store, "PRAGMA locking_mode = EXCLUSIVE"):
        yield


@pytest.mark.parametrize("model", [0.002], indirect=True)
@pytest.mark.parametrize("how", ["locked", "down"])
async def test_a_call_needs_no_store(
    calling: Calls,
    board: Switchboard,
    model: ScriptedModel,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """It is answered as fast as ever, a tool says what it cannot do, and the call goes on."""
    monkeypatch.setattr("thirdring.store.threaded.PATIENCE_SECONDS", 0.5)
    model.says.extend(["I'd like to book an appointment on Tuesday.", "What are your hours?"])
    now = asyncio.get_running_loop().time
    async with no_store(board, how, monkeypatch), calling() as call:
        await call.job.answer()
        spoken: dict[str, Any] = {"old_state": "speaking", "new_state": "listening"}
        greeted = call.next("agent_state_changed", **spoken)
        await call.open_line()
        await greeted
        for _ in range(2):
            replied = call.next("agent_state_changed", **spoken)
            used = call.next("function_tools_executed")
            began = now()
            await call.utter()
            await used
            assert now() - began < 5
            await replied
        entries = await call.hang_up()
    booked, hours = (entry.use for entry in entries if isinstance(entry, ToolUsed))
    assert (booked.name, hours.name) == ("find_slots", "opening_hours")
    assert booked.error is not None
    assert booked.error.startswith("The calendar cannot be reached right now.")
    assert "9 AM" in (hours.result or "")
    assert ended(entries).ending.reason is EndReason.CALLER_HUNG_UP
