"""A whole call from a real browser: sound both ways, words, tools, and the record it leaves."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from playwright.async_api import expect

from local.caller.placing import SPEECH_CACHE
from local.caller.voice import CallerVoice
from local.parts.stack import Stack
from tests.peers.browser import (
    PATIENCE,
    artefacts,
    chromium,
    needs_chromium,
    record_of,
    speak,
    until_free,
    visit,
)

pytestmark = [pytest.mark.server, needs_chromium]


@pytest.mark.timeout(90)
async def test_a_browser_calls_the_line(stack: Stack, tmp_path: Path) -> None:
    """One presses and talks, reads both sides and the tools; the record tells the same."""
    pictures = artefacts(tmp_path)
    voice = CallerVoice(SPEECH_CACHE)
    goodbye = "That is all, thank you. Goodbye."
    microphone = speak(
        tmp_path / "microphone.wav", voice, 5.5, "What are your opening hours?", 7.0, goodbye, 60.0
    )
    async with chromium(microphone) as browser, visit(browser, stack) as shown:
        page = shown.page
        await shown.picture(pictures, "before")
        room = await shown.call_of_its_own()
        await shown.phase("talking")
        agent = page.locator("#conversation .agent")
        await expect(
            page.locator("#agent-meter[aria-valuenow]:not([aria-valuenow='0'])")
        ).to_be_attached(timeout=PATIENCE)
        await expect(agent.first).to_contain_text(
            "thank you for calling Riverside Clinic", timeout=PATIENCE
        )
        tool = page.locator("#conversation .tool[data-state=done]").first
        await expect(tool).to_contain_text("opening_hours", timeout=PATIENCE)
        await shown.picture(pictures, "during")
        await expect(page.locator("#wait-last")).to_have_text(
            re.compile(r"^\d+\.\d+ s$"), timeout=PATIENCE
        )
        await shown.phase("ended")
        freed = await until_free(stack)
        await shown.picture(pictures, "after")
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 360, "height": 780})
        await shown.picture(pictures, "after-small-dark")
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        said = await page.locator("#conversation .turn .text").all_inner_texts()
        ending = await page.locator("#ending").inner_text()
        complaints, origins = shown.complaints, shown.origins
    record = await record_of(stack, room)
    sys.stdout.write(f"slot free {freed:.2f} s after the end\n")
    assert ending == "The agent said goodbye and hung up."
    assert "opening hours" in said[1]
    assert [turn.text for turn in record.turns] == said
    assert [use.name for use in record.tool_uses] == ["opening_hours", "end_call"]
    assert (record.ending.reason, record.line, record.caller_number) == (
        "agent_hung_up",
        stack.number,
        None,
    )
    assert complaints == []
    assert len(origins) == 1  # WebSockets do not count here; the policy names the only one
