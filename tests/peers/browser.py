"""A person with a browser: Debian's Chromium, and a WAV file as its microphone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright, expect
from yarl import URL

from local.caller.voice import Voice, resample
from local.parts.stack import Stack
from local.talk.browser import serving
from thirdring.access import LiveKitAccess
from thirdring.record import Record

__all__ = [
    "Visit",
    "artefacts",
    "chromium",
    "jobs",
    "needs_chromium",
    "record_of",
    "speak",
    "until_free",
    "visit",
]

PROGRAM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")

PATIENCE = 20_000
"""Milliseconds for what the page shows; a hang, not a measure."""

_RATE = 48_000


def artefacts(tmp_path: Path) -> Path:
    """Return where pictures are kept for people to look at."""
    return Path(os.environ.get("THIRDRING_ARTIFACTS") or tmp_path)


def speak(path: Path, voice: Voice, *steps: str | float) -> Path:
    """Write what the microphone hears: sentences, and pauses in seconds."""
    parts = [
        resample(voice.speak(step), 8000, _RATE)
        if isinstance(step, str)
        else np.zeros(int(step * _RATE), np.int16)
        for step in steps
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(np.concatenate(parts).tobytes())
    return path


@asynccontextmanager
async def chromium(microphone: Path | None) -> AsyncIterator[Browser]:
    """Run Chromium with this microphone, or on a machine that has none.

    It gets none of the switches that let WebRTC reach loopback: users do not give them either.
    """
    assert PROGRAM is not None
    heard = f"--use-file-for-fake-audio-capture={microphone}"
    arguments = ["--use-fake-device-for-media-stream", heard] if microphone else []
    # Neither ALSA nor PulseAudio finds a device of the machine on which this test runs.
    nothing = {} if microphone else {"ALSA_CONFIG_PATH": os.devnull, "PULSE_SERVER": os.devnull}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=PROGRAM,
            args=["--no-sandbox", *arguments],
            env={**os.environ, **nothing},
        )
        yield browser
        await browser.close()


@dataclass
class Visit:
    """One open page.

    Attributes:
        complaints: What the browser's console has shown as an error.
        asked_for: The paths that the page has sent requests to.
        origins: The hosts that it has sent them to.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)
    asked_for: set[str] = field(default_factory=set)
    origins: set[str] = field(default_factory=set)

    async def call(self) -> None:
        """Press the big button."""
        await self.page.locator("#call").click()

    async def call_of_its_own(self) -> str:
        """Press it; return the room of the token that the page got."""
        async with self.page.expect_response("**/call") as asked:
            await self.call()
        room: str = (await (await asked.value).json())["room"]
        return room

    async def state(self, name: str) -> None:
        """Wait until the page shows this state of the call."""
        wanted = self.page.locator(f"body[data-state={name}]")
        await expect(wanted).to_be_attached(timeout=PATIENCE)

    async def phase(self, name: str) -> None:
        """Wait until the page is idle, calling, talking, or at the end of the call."""
        wanted = self.page.locator(f"body[data-phase={name}]")
        await expect(wanted).to_be_attached(timeout=PATIENCE)

    async def problem(self) -> str:
        """Return the title of the notice once there is one."""
        title = self.page.locator("#notice-title")
        await expect(title).not_to_be_empty(timeout=PATIENCE)
        return await title.inner_text()

    async def picture(self, folder: Path, name: str) -> None:
        """Keep what one sees as an artefact of the test."""
        folder.mkdir(parents=True, exist_ok=True)
        await self.page.screenshot(path=folder / f"{name}.png", full_page=True)

    def count(self, request: Request) -> None:
        """Remember where a request went."""
        url = URL(request.url)
        self.asked_for.add(url.path)
        self.origins.add(url.authority)

    def note(self, message: ConsoleMessage) -> None:
        """Remember an error of the console."""
        if message.type == "error":
            self.complaints.append(message.text)


@asynccontextmanager
async def visit(
    browser: Browser,
    stack: Stack,
    *,
    token: str | None = None,
    url: str | None = None,
    access: LiveKitAccess | None = None,
    microphone: bool = True,
    width: int = 1100,
) -> AsyncIterator[Visit]:
    """Serve the page and open it.

    Args:
        token: One that was sent to us; else the page asks for its own.
        url: Where livekit-server is said to be.
        access: Another livekit-server than the stack's.
        microphone: Whether the person allows it.
    """
    access = access or LiveKitAccess.from_environment(stack.environ)
    if url is not None:
        access = access.model_copy(update={"url": url})
    business = stack.settings.businesses[0]
    context = await browser.new_context(viewport={"width": width, "height": 780})
    # Whatever is not granted is refused.
    await context.grant_permissions(["microphone" if microphone else "geolocation"])
    async with serving(access, business, business.lines[0]) as address:
        shown = Visit(await context.new_page())
        shown.page.on("console", shown.note)
        shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
        shown.page.on("request", shown.count)
        target = address if token is None else f"{address.partition('#')[0]}#token={token}"
        await shown.page.goto(target)
        await expect(shown.page.locator("#call")).to_be_enabled()
        try:
            yield shown
        finally:
            await context.close()


async def jobs(stack: Stack) -> int:
    """Return how many calls the worker has right now, as its own page says."""
    (worker,) = (part for part in stack.parts if part.name == "worker")
    assert worker.address is not None
    async with aiohttp.ClientSession() as client, client.get(worker.address) as answer:
        document: dict[str, int] = await answer.json()
        return document.get("active_jobs", 0)


async def until_free(stack: Stack) -> float:
    """Wait until the worker has no call; return how many seconds that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(20):
        while await jobs(stack):  # noqa: ASYNC110 - the worker tells nobody
            await asyncio.sleep(0.02)
    return loop.time() - began


async def record_of(stack: Stack, room: str) -> Record:
    """Return the record of the call in this room once it has been delivered, verified."""
    async with asyncio.timeout(20):
        while True:
            lines = stack.received.read_bytes().splitlines() if stack.received.exists() else ()
            for delivery in map(json.loads, lines):
                if delivery["body"]["call_id"].startswith(f"{room}-"):
                    assert delivery["verified"] is True
                    return Record.model_validate_json(json.dumps(delivery["body"]))
            await asyncio.sleep(0.05)  # another process decides
