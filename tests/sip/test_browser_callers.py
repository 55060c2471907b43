"""Browsers that call the real worker: what they are shown, and how soon it is free again."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from urllib.request import urlopen

import pytest
from livekit import api, rtc
from pydantic import SecretStr

from local.parts.stack import Stack
from sip import tokens
from sip.tokens import RoomToken
from tests.peers.room_browser import RoomBrowser, room_browser
from thirdring import AGENT_NAME
from thirdring.access import LiveKitAccess
from thirdring.calls import EndReason, Role
from thirdring.record import Record
from thirdring.watching import ATTRIBUTE

pytestmark = pytest.mark.server

HANG = 20.0
CEILING = 6.0

logger = logging.getLogger(__name__)


def access(stack: Stack) -> LiveKitAccess:
    return LiveKitAccess(
        url=stack.environ["LIVEKIT_URL"],
        api_key=stack.environ["LIVEKIT_API_KEY"],
        api_secret=SecretStr(stack.environ["LIVEKIT_API_SECRET"]),
    )


def token(stack: Stack, *, number: str | None = None) -> RoomToken:
    """Return a token for one call, to a number that need not exist."""
    line = stack.settings.businesses[0].lines[0]
    if number is not None:
        line = line.model_copy(update={"number": number})
    return tokens.mint(access(stack), line, validity=timedelta(minutes=1))


def shared_room(stack: Stack, identity: str) -> RoomToken:
    """Return a token that somebody else made, to a room without a limit."""
    reach = access(stack)
    dispatch = api.RoomAgentDispatch(agent_name=AGENT_NAME)
    written = (
        api.AccessToken(reach.api_key, reach.api_secret.get_secret_value())
        .with_identity(identity)
        .with_attributes({ATTRIBUTE: "true"})
        .with_grants(api.VideoGrants(room_join=True, room="shared"))
        .with_room_config(api.RoomConfiguration(agents=[dispatch]))
        .to_jwt()
    )
    return replace(token(stack), room="shared", identity=identity, token=written)


def entering(minted: RoomToken) -> AbstractAsyncContextManager[RoomBrowser]:
    return room_browser(minted.url, minted.token)


def active_jobs(stack: Stack) -> int:
    worker = next(part for part in stack.parts if part.name == "worker")
    with urlopen(str(worker.address)) as answer:  # noqa: S310 - loopback
        return int(json.load(answer).get("active_jobs", 0))


async def jobs(stack: Stack, count: int, *, within: float = HANG) -> float:
    """Return after how many seconds the worker has so many jobs."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while await asyncio.to_thread(active_jobs, stack) != count:  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture(autouse=True)
async def idle(stack: Stack) -> None:
    """Begin when the calls of other tests, which share the worker, are over."""
    await jobs(stack, 0, within=60.0)


async def freed(stack: Stack, what: str) -> None:
    """Check that the worker is free soon, and log how soon: it is 2 s on an idle machine."""
    seconds = await jobs(stack, 0)
    logger.info("slot free after %.2f s: %s", seconds, what)
    assert seconds < CEILING


async def record_of(stack: Stack, minted: RoomToken) -> Record:
    """Return the record of the call in this room once it has been delivered."""
    async with asyncio.timeout(HANG):
        while True:
            for line in stack.received.read_bytes().splitlines() if stack.received.exists() else ():
                body = json.loads(line)["body"]
                if body["call_id"].startswith(f"{minted.room}-"):
                    return Record.model_validate_json(json.dumps(body))
            await asyncio.sleep(0.05)


async def test_a_browser_is_shown_what_happens(stack: Stack) -> None:
    """Tools, waits, both transcripts and the ending; what is typed is answered and recorded."""
    minted = token(stack)
    async with entering(minted) as browser:
        await browser.until(type="latency", kind="greeting")
        await browser.until_agent_is("speaking")
        await browser.says("What are your opening hours?")
        begun = await browser.until(type="tool", state="started")
        done = await browser.until(type="tool", state="done")
        assert (begun["name"], begun["arguments"], begun["id"]) == ("opening_hours", {}, done["id"])
        assert "9 AM" in done["result"]
        assert 0 <= done["seconds"] < HANG
        await browser.until_heard("9 AM")
        await browser.says("Thank you, goodbye.")
        assert await asyncio.wait_for(browser.gone, HANG) == rtc.DisconnectReason.ROOM_DELETED
        assert (await browser.until(type="latency", kind="reply"))["milliseconds"] > 0
        ended = {"type": "ended", "reason": "completed", "detail": None}
        assert [event for event in browser.events if event["type"] == "ended"] == [ended]
        await freed(stack, "the agent hung up")
    record = await record_of(stack, minted)
    assert record.ending.reason is EndReason.COMPLETED
    typed = [turn.text for turn in record.turns if turn.role is Role.CALLER]
    assert typed == ["What are your opening hours?", "Thank you, goodbye."]


async def test_a_browser_that_leaves_in_the_greeting_frees_its_slot(stack: Stack) -> None:
    """A tab that vanishes says so on its way out."""
    async with entering(token(stack)) as browser:
        await browser.until(type="latency", kind="greeting")
    await freed(stack, "the browser left in the greeting")


async def test_a_browser_that_leaves_at_once_frees_its_slot(stack: Stack) -> None:
    """The worker comes into a room without a caller, and into no later one."""
    minted = token(stack)
    room = rtc.Room()
    await room.connect(minted.url, minted.token)
    await room.disconnect()
    await jobs(stack, 1)
    await freed(stack, "the browser had left before the agent came")


async def test_a_line_that_does_not_exist_is_said_and_frees_its_slot(stack: Stack) -> None:
    """The page can tell why; it need not wait for a recording to be read out."""
    async with entering(token(stack, number="+12025550177")) as browser:
        ended = await browser.until(type="ended")
        assert await asyncio.wait_for(browser.gone, HANG) == rtc.DisconnectReason.ROOM_DELETED
    assert ended["reason"] == "not_in_service"
    assert ended["detail"] == "metadata.line: no line has the number +12025550177"
    await freed(stack, "no such line")


async def test_a_second_browser_with_the_same_token_ends_the_call(stack: Stack) -> None:
    """LiveKit throws the first one out, the second is told why: neither sits in silence."""
    minted = token(stack)
    async with entering(minted) as first:
        await first.until(type="latency", kind="greeting")
        async with entering(minted) as second:
            assert (
                await asyncio.wait_for(first.gone, HANG) == rtc.DisconnectReason.DUPLICATE_IDENTITY
            )
            ended = await second.until(type="ended")
            assert await asyncio.wait_for(second.gone, HANG) == rtc.DisconnectReason.ROOM_DELETED
            await freed(stack, "the same token twice")
    assert ended["reason"] == "removed"
    assert ended["detail"] == "somebody joined with the same identity"
    assert (await record_of(stack, minted)).ending.reason is EndReason.REMOVED


async def test_a_second_browser_of_another_name_is_turned_away(stack: Stack) -> None:
    """It is told that the room is taken; the call goes on, also when it leaves."""
    async with entering(shared_room(stack, "first")) as first:
        await first.until(type="latency", kind="greeting")
        async with entering(shared_room(stack, "second")) as second:
            assert (await second.until(type="refused"))["reason"] == "room_taken"
        await first.says("What are your opening hours?")
        await first.until(type="tool", state="done")
        assert [event["type"] for event in first.events].count("refused") == 0
    await freed(stack, "the first of two browsers left")
