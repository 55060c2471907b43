"""Whole calls from a real browser: sound both ways, words, tools, and the record they leave."""

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

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(90), needs_chromium]


async def test_a_browser_calls_the_line(stack: Stack, tmp_path: Path) -> None:
    """One presses and talks, reads both sides and the tool; the record tells the same."""
    pictures = artefacts(tmp_path)
    # It comes again for as long as the microphone is open: on a busy machine the first is too soon.
    question = (5.5, "What are your opening hours?", 10.0)
    microphone = speak(tmp_path / "microphone.wav", CallerVoice(SPEECH_CACHE), *question)
    async with chromium(microphone) as browser, visit(browser, stack) as shown:
        page = shown.page
        await shown.picture(pictures, "before")
        room = await shown.call_of_its_own()
        await shown.phase("talking")
        heard = page.locator("#agent-meter:not([aria-valuenow='0'])")
        await expect(heard).to_be_attached(timeout=PATIENCE)
        tool = page.locator("#conversation .tool[data-state=done]").first
        await expect(tool).to_contain_text("opening_hours", timeout=PATIENCE)
        await shown.picture(pictures, "during")
        waited = page.locator("#wait-last")
        await expect(waited).to_have_text(re.compile(r"^\d+\.\d+ s$"), timeout=PATIENCE)
        answer = page.locator("#conversation .agent:not(.interim)", has_text="9 AM to 5 PM").first
        await expect(answer).to_be_attached(timeout=PATIENCE)
        await shown.call()
        await shown.phase("ended")
        await shown.picture(pictures, "after")
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 360, "height": 780})
        await shown.picture(pictures, "after-small-dark")
        width = await page.evaluate("document.documentElement.scrollWidth")
        said = await page.locator("#conversation .turn .text").all_inner_texts()
    record = await record_of(stack, room)
    assert "thank you for calling Riverside Clinic" in said[0]
    assert "What are your opening hours?" in said
    whole = [turn.text for turn in record.turns if not turn.interrupted]
    assert [text for text in said if text in whole] == whole
    assert "opening_hours" in [use.name for use in record.tool_uses]
    assert (record.ending.reason, record.line) == ("caller_hung_up", stack.number)
    assert record.caller_number is None
    assert width == 360
    assert shown.complaints == []
    assert len(shown.origins) == 1


async def test_the_agent_ends_the_call(stack: Stack, tmp_path: Path) -> None:
    """A goodbye in the middle of the greeting stops it there; the page tells who hung up."""
    goodbye = (2.5, "That is all, thank you. Goodbye.", 12.0)
    microphone = speak(tmp_path / "microphone.wav", CallerVoice(SPEECH_CACHE), *goodbye)
    async with chromium(microphone) as browser, visit(browser, stack) as shown:
        room = await shown.call_of_its_own()
        await shown.phase("talking")
        await shown.phase("ended")
        freed = await until_free(stack)
        ending = await shown.page.locator("#ending").inner_text()
        last = await shown.page.locator("#conversation .agent").last.inner_text()
    record = await record_of(stack, room)
    sys.stdout.write(f"slot free {freed:.2f} s after the end\n")
    assert ending == "The agent said goodbye and hung up."
    assert "Goodbye" in last
    assert record.ending.reason == "completed"
