"""What can go wrong in a browser: each has one message, and the worker is free again at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from livekit import api, rtc
from playwright.async_api import Browser, expect

from local.caller.voice import CallerVoice
from local.parts.ports import free_port
from local.parts.stack import Stack
from tests.peers.browser import (
    artefacts,
    chromium,
    jobs,
    needs_chromium,
    record_of,
    speak,
    until_free,
    visit,
)
from tests.sip.gateway.test_gateway_loss import mortal_server
from thirdring import AGENT_NAME, watching
from thirdring.access import LiveKitAccess

pytestmark = [
    pytest.mark.server,
    needs_chromium,
    pytest.mark.asyncio(loop_scope="module"),
]

FREED = 5.0
"""Seconds; 2 is what we promise on a machine of its own."""

SOUNDS = {
    "answer": "sound(1, -30, -99); sound(0.8, -99, -99); sound(1, -99, -20)",
    "pause": "sound(1, -99, -20); sound(0.5, -99, -99); sound(1, -99, -20)",
    "interruption": "sound(1, -30, -20); sound(0.5, -30, -99); sound(0.6, -80, -99);"
    "sound(1, -80, -20)",
    "click": "sound(0.06, -30, -99); sound(0.8, -99, -99); sound(1, -99, -20)",
    "noise": "sound(9, -42, -99); sound(1, -20, -99); sound(0.4, -42, -99); sound(1, -42, -20)",
}
"""What happens: seconds, and how loud caller and agent are, in dB."""

LISTENING = """async () => {
  const { Turns } = await import("/levels.js");
  const turns = new Turns();
  const waits = [];
  let at = 0;
  const sound = (seconds, caller, agent) => {
    for (const end = at + seconds; at < end; at += 0.02) {
      const wait = turns.hear(at, caller, agent);
      if (wait !== null) waits.push(Math.round(wait * 100) / 100);
    }
  };
  %s
  return waits;
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """Return a browser whose microphone hears nothing."""
    folder = tmp_path_factory.mktemp("silence")
    async with chromium(speak(folder / "silence.wav", CallerVoice(folder), 60.0)) as running:
        yield running


def token(
    stack: Stack,
    room: str,
    *,
    identity: str = "browser",
    line: str | None = None,
    agent: str = AGENT_NAME,
    secret: str | None = None,
    valid_for: timedelta = timedelta(minutes=5),
) -> str:
    """Return a token as `sip.tokens` makes it, or with something wrong."""
    metadata = json.dumps({"line": line or stack.number})
    dispatch = api.RoomAgentDispatch(agent_name=agent, metadata=metadata)
    configuration = api.RoomConfiguration(agents=[dispatch], max_participants=1)
    environ = stack.environ
    return (
        api.AccessToken(environ["LIVEKIT_API_KEY"], secret or environ["LIVEKIT_API_SECRET"])
        .with_identity(identity)
        .with_attributes({watching.ATTRIBUTE: "true"})
        .with_grants(api.VideoGrants(room_join=True, room=room))
        .with_room_config(configuration)
        .with_ttl(valid_for)
        .to_jwt()
    )


@asynccontextmanager
async def agent_in(access: LiveKitAccess, room: str) -> AsyncIterator[None]:
    """Be an agent who listens in this room."""
    made = (
        api.AccessToken(access.api_key, access.api_secret.get_secret_value())
        .with_identity("agent")
        .with_kind("agent")
        .with_attributes({"lk.agent.state": "listening"})
        .with_grants(api.VideoGrants(room_join=True, room=room, agent=True))
        .to_jwt()
    )
    agent = rtc.Room()
    await agent.connect(access.url, made)
    try:
        yield
    finally:
        await agent.disconnect()


async def free_within_bound(stack: Stack, after: str) -> None:
    """Check that the worker has no call any more, soon enough."""
    seconds = await until_free(stack)
    sys.stdout.write(f"slot free {seconds:.2f} s after: {after}\n")
    assert seconds < FREED


@pytest.mark.parametrize(
    ("mistake", "title"),
    [
        ({"valid_for": timedelta(seconds=-90)}, "This token has expired"),
        ({"secret": "s" * 40}, "livekit-server refuses this token"),
        ({"line": "+1999"}, "This number is not in service"),
        ({"line": "+12025550199"}, "This number is not in service"),
    ],
    ids=["expired", "foreign", "no-number", "unknown-line"],
)
async def test_a_token_that_is_no_good_is_explained(
    browser: Browser, stack: Stack, tmp_path: Path, mistake: dict[str, Any], title: str
) -> None:
    """The page says in one sentence what is wrong with the token, and keeps no agent."""
    sent = token(stack, uuid.uuid4().hex, **mistake)
    async with visit(browser, stack, token=sent) as shown:
        await shown.call()
        assert await shown.problem() == title
        await shown.phase("ended")
        await free_within_bound(stack, title)
        await shown.picture(artefacts(tmp_path), title)


async def test_a_room_takes_one_browser(browser: Browser, stack: Stack, tmp_path: Path) -> None:
    """A second one is told that it is full; the same token once more ends both, each told why."""
    room = uuid.uuid4().hex
    first, other = token(stack, room), token(stack, room, identity="other")
    async with visit(browser, stack, token=first) as one:
        await one.call()
        await one.phase("talking")
        async with visit(browser, stack, token=other) as two:
            await two.call()
            assert await two.problem() == "This room is full"
            await two.picture(artefacts(tmp_path), "full")
        assert await jobs(stack) == 1
        assert await one.page.locator("#notice").is_hidden()
        async with visit(browser, stack, token=first) as again:
            await again.call()
            assert await one.problem() == "Opened in another window"
            assert await again.problem() == "This token has a call already"
            await free_within_bound(stack, "the same token twice")
            await again.picture(artefacts(tmp_path), "twice")
            await one.picture(artefacts(tmp_path), "opened-in-another-window")


@pytest.mark.parametrize("how", ["close", "reload"])
async def test_a_tab_that_goes_frees_the_agent(browser: Browser, stack: Stack, how: str) -> None:
    """Whoever closes or reloads the page in the greeting has hung up, and the record says so."""
    async with visit(browser, stack) as shown:
        room = await shown.call_of_its_own()
        await shown.phase("talking")
        await (shown.page.close() if how == "close" else shown.page.reload())
        await free_within_bound(stack, f"{how} of the tab")
    record = await record_of(stack, room)
    assert record.ending.reason == "caller_hung_up"


async def test_keys_and_the_end_are_the_callers(
    browser: Browser, stack: Stack, tmp_path: Path
) -> None:
    """With the keyboard alone one mutes, presses keys and hangs up; the record has the keys."""
    async with visit(browser, stack, width=360) as shown:
        room = await shown.call_of_its_own()
        await shown.phase("talking")
        keyboard, page = shown.page.keyboard, shown.page
        await keyboard.press("m")
        await expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
        await keyboard.press("k")
        await expect(page.locator("#keypad")).to_be_visible()
        await keyboard.press("4")
        await page.locator("#keypad").get_by_text("#", exact=True).click()
        await expect(page.locator("#conversation .note")).to_have_count(2)
        await shown.picture(artefacts(tmp_path), "keypad-small")
        await page.locator("#call").press("Enter")
        await shown.phase("ended")
        await free_within_bound(stack, "hanging up")
        assert await page.locator("#ending").inner_text() == "You hung up."
    record = await record_of(stack, room)
    assert "".join(digit.digit for digit in record.digits) == "4#"


async def test_without_a_microphone_there_is_no_call(
    browser: Browser, stack: Stack, tmp_path: Path
) -> None:
    """Blocked or missing, the page says which and asks for no token; once allowed, one can call."""
    async with visit(browser, stack, microphone=False) as shown:
        await shown.call()
        assert await shown.problem() == "The microphone is blocked"
        await shown.phase("ended")
        await shown.page.context.grant_permissions(["microphone"])
        await shown.call()
        await shown.phase("talking")
        await shown.call()
        await shown.phase("ended")
        assert shown.complaints == []
        await shown.picture(artefacts(tmp_path), "blocked")
    async with chromium(None) as bare, visit(bare, stack) as shown:
        await shown.call()
        assert await shown.problem() == "No microphone was found"
        assert "/call" not in shown.asked_for


@asynccontextmanager
async def mute_port() -> AsyncIterator[int]:
    """Listen at a port of 127.0.0.1 where everyone is let in and nobody answered."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_nobody_waits_for_what_is_not_there(
    browser: Browser, stack: Stack, tmp_path: Path
) -> None:
    """No server, a mute one, no worker, a server that dies: each page gives up and says why."""

    async def no_server() -> str:
        async with visit(browser, stack, url=f"ws://127.0.0.1:{free_port()}") as shown:
            await shown.call()
            title = await shown.problem()
            await shown.picture(artefacts(tmp_path), "unreachable")
            return title

    async def mute_server() -> str:
        async with (
            mute_port() as port,
            visit(browser, stack, url=f"ws://127.0.0.1:{port}") as shown,
        ):
            await shown.call()
            return await shown.problem()

    async def no_worker() -> str:
        sent = token(stack, uuid.uuid4().hex, agent="nobody")
        async with visit(browser, stack, token=sent) as shown:
            await shown.call()
            title = await shown.problem()
            await shown.picture(artefacts(tmp_path), "nobody")
            return title

    async def dead_server() -> str:
        async with (
            mortal_server(tmp_path) as (access, process),
            visit(browser, stack, access=access) as shown,
        ):
            room = await shown.call_of_its_own()
            await shown.state("ringing")
            async with agent_in(access, room):
                await shown.phase("talking")
                os.kill(process, signal.SIGKILL)
                title = await shown.problem()
                await shown.picture(artefacts(tmp_path), "lost")
                return title

    told = await asyncio.gather(no_server(), mute_server(), no_worker(), dead_server())
    assert tuple(told) == (
        "livekit-server cannot be reached",
        "livekit-server cannot be reached",
        "Nobody answered",
        "The connection was lost",
    )


async def test_a_wait_runs_from_the_last_word_to_the_first_sound(
    browser: Browser, stack: Stack
) -> None:
    """Only an answer counts: no pause of the agent, no click, and steady noise is no word."""
    async with visit(browser, stack) as shown:
        waits = {name: await shown.page.evaluate(LISTENING % it) for name, it in SOUNDS.items()}
    assert waits == {
        "answer": [pytest.approx(0.82, abs=0.03)],
        "pause": [],
        "interruption": [pytest.approx(0.62, abs=0.03)],
        "click": [],
        "noise": [pytest.approx(0.42, abs=0.03)],
    }
