"""What a caller hears when the model, or the disk, is no use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from livekit import rtc

from sip.answering import Switchboard
from tests.peers.whole_call import Calls
from thirdring.calls import EndReason
from thirdring.fixed_lines import FixedLine, duration
from thirdring.home import Home
from thirdring.journal import Ended, Entry

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
