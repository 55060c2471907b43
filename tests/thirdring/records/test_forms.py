from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from playwright.async_api import async_playwright

from tests.peers.browser import PROGRAM, needs_chromium
from tests.samples import at, ended, opened, spoken, used
from tests.thirdring.records.kept import CONTROL
from thirdring.calls import Role, Turn
from thirdring.journal import ToolBegun, TurnSpoken
from thirdring.printable import printable
from thirdring.record import Record, build
from thirdring.records.markdown import escaped, markdown
from thirdring.records.moments import clock, facts, moments
from thirdring.records.webvtt import webvtt

MARKUP = (
    "<script>alert(1)</script> <b>x</b> **bold** _it_ `code` ~~s~~ [a](http://b.example) ![i](x)"
    " http://evil.example www.evil.example <http://c.example> &amp; &lt; # h | a | b | $x$ :smile:"
    " --> 00:00:01.000 \\ \\<b>"
)
TIMES = re.compile(r"(\d\d+):(\d\d):(\d\d)\.(\d{3}) --> (\d\d+):(\d\d):(\d\d)\.(\d{3})")


def record_of(*texts: str) -> Record:
    turns = [
        spoken(number, role=list(Role)[number % 2], text=text) for number, text in enumerate(texts)
    ]
    return build([opened(), *turns, ended(len(texts) + 1)])


def cues(text: str) -> list[tuple[float, float, str]]:
    """Return start, end and payload of each cue of a file that must be strictly WebVTT."""
    header, *blocks = text.split("\n\n")
    assert header.rstrip("\n") == "WEBVTT"
    found = []
    for block in filter(None, blocks):
        timing, payload = block.rstrip("\n").split("\n")
        parsed = TIMES.fullmatch(timing)
        assert parsed is not None
        parts = [int(part) for part in parsed.groups()]
        assert all(part < 60 for part in (*parts[1:3], *parts[5:7]))
        start, end = (3600 * h + 60 * m + s + ms / 1000 for h, m, s, ms in (parts[:4], parts[4:]))
        assert start < end
        assert "-->" not in payload
        found.append((start, end, payload))
    return found


def said(payload: str) -> str:
    """Return the text of a cue, whose only markup is its voice."""
    text = re.sub(r"^<v (?:Caller|Agent)>", "", payload)
    assert not set(text) & set("<>")
    assert re.search(r"&(?!(?:amp|lt|gt);)", text) is None
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


@given(st.lists(st.text(max_size=60), max_size=6))
def test_every_text_makes_valid_subtitles(texts: list[str]) -> None:
    """One cue per turn that says something, in order, and its text is what was said."""
    shown = [" ".join(printable(text).split()) for text in texts]
    found = cues(webvtt(record_of(*texts)))
    assert [said(payload) for *_, payload in found] == [text for text in shown if text]
    assert [start for start, *_ in found] == sorted(start for start, *_ in found)


def test_subtitles_keep_the_times_of_the_clock_that_nobody_sets() -> None:
    """Offsets count, not wall-clock times; a cue of no length gets a millisecond."""
    turn = Turn(
        id="t",
        role=Role.AGENT,
        text="Hello",
        started_at=at(5000),
        ended_at=at(4000),
        started_offset=3723.25,
        ended_offset=3723.25,
    )
    record = build([opened(), TurnSpoken(at=at(4000), offset=3723.25, turn=turn), ended(2)])
    assert webvtt(record) == "WEBVTT\n\n01:02:03.250 --> 01:02:03.251\n<v Agent>Hello\n"


def test_subtitles_of_a_clock_that_was_set_back_are_valid() -> None:
    """A record without offsets whose turn began before the call has its cue at the start."""
    turn = Turn(
        id="t",
        role=Role.CALLER,
        text="x",
        started_at=at(0) - timedelta(hours=1),
        ended_at=at(-1800),
    )
    record = build([opened(), TurnSpoken(at=at(1), turn=turn), ended(2)])
    assert cues(webvtt(record)) == [(0.0, 0.001, "<v Caller>x")]


@needs_chromium
async def test_a_browser_shows_subtitles_as_they_were_said(tmp_path: Path) -> None:
    """Chromium's parser finds each cue with its times and voice, and no markup in what was said."""
    texts = ["Are you open?", MARKUP, CONTROL, "Grüße 你好"]
    (tmp_path / "call.vtt").write_text(webvtt(record_of(*texts)), encoding="utf-8")
    script = """async (source) => {
        const blob = new Blob([source], {type: "text/vtt"});
        const video = document.createElement("video");
        const track = document.createElement("track");
        track.src = URL.createObjectURL(blob);
        video.append(track);
        document.body.append(video);
        await new Promise((loaded) => { track.onload = loaded; track.track.mode = "hidden"; });
        return [...track.track.cues].map((cue) => {
            const shown = cue.getCueAsHTML();
            const all = [...shown.querySelectorAll("*")];
            const tags = all.map((tag) => `${tag.localName} ${tag.title}`);
            return [cue.startTime, cue.endTime, tags.join(), shown.textContent];
        });
    }"""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = await browser.new_page()
        found = await page.evaluate(script, (tmp_path / "call.vtt").read_text(encoding="utf-8"))
        await browser.close()
    assert [each[3] for each in found] == [" ".join(printable(text).split()) for text in texts]
    assert [each[:2] for each in found] == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert [each[2] for each in found] == ["span Caller", "span Agent"] * 2


def text_of(token: Token) -> str:
    """Return the text of an inline token that must hold nothing else."""
    children = token.children or []
    assert {child.type for child in children} <= {"text", "text_special"}, children
    return "".join(child.content for child in children)


@given(st.text(max_size=80))
def test_no_text_is_markup(text: str) -> None:
    """Within a line of Markdown it is shown letter by letter, whatever it is."""
    shown = " ".join(printable(text).split())
    parser = MarkdownIt("commonmark").enable(["strikethrough", "table"])
    _, inline, _ = parser.parse(f"x {escaped(text)}")
    assert text_of(inline).rstrip() == f"x {shown}".rstrip()


@pytest.mark.parametrize("text", [MARKUP, CONTROL, "- a\n# b\n\n    c\n| d |\n| - |"])
def test_markdown_shows_what_was_said(text: str) -> None:
    """A call by somebody who writes markup has the headings, names and lines of any other."""
    parser = MarkdownIt("commonmark").enable(["strikethrough", "table"])
    document = parser.parse(markdown(record_of(text, "Goodbye.")))
    blocks = [token.type for token in document if token.type.endswith("_open")]
    plain = parser.parse(markdown(record_of("Hello.", "Goodbye.")))
    assert blocks == [token.type for token in plain if token.type.endswith("_open")]
    marks = {
        child.type for token in document for child in token.children or () if token.type == "inline"
    }
    assert marks <= {"text", "text_special", "strong_open", "strong_close"}
    assert "".join(printable(text).split()) in "".join(
        child.content for token in document for child in token.children or ()
    ).replace(" ", "")


def test_moments_come_in_order_with_what_is_unfinished() -> None:
    """A tool that had not ended has no result, and says so."""
    begun = used(1).use.model_copy(update={"id": "u9", "result": None, "ended_at": None})
    record = build(
        [opened(), ToolBegun(at=at(1.5), use=begun), spoken(0), used(1), spoken(2), ended(4)]
    )
    assert [(each.start, each.lane, each.note) for each in moments(record)] == [
        (0, "caller", ""),
        (1, "tool", "not finished"),
        (1, "tool", "0.1 s"),
        (2, "caller", ""),
    ]


@pytest.mark.parametrize("kind", ["console", "browser"])
def test_nobody_hides_a_number_who_dialled_none(kind: str) -> None:
    """A call by keyboard or browser has no line about callers; a hidden phone number has one."""
    phone = record_of("Hello.").model_copy(update={"caller_number": None})
    assert dict(facts(phone))["caller"] == "hidden to +12025550142"
    other = phone.model_copy(update={"kind": kind, "called_number": None})
    assert "caller" not in dict(facts(other))


def test_durations_read_as_clocks_do() -> None:
    """Seconds have two digits; hours are there when needed."""
    assert [clock(seconds) for seconds in (0, 59.6, 61, 3599.4, 3661)] == [
        "0:00",
        "1:00",
        "1:01",
        "59:59",
        "1:01:01",
    ]
