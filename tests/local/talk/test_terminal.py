"""`python ring.py talk`: the same agent as on the phone, for whoever types."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from local.parts.stack import Stack
from local.talk.terminal import talk
from local.talk.terminal_screen import JsonScreen, PlainScreen
from tests.peers.scripted_model import ScriptedModel, scripted_model
from tests.samples import business
from thirdring import journal
from thirdring.calls import EndReason, Role
from thirdring.errors import ConfigError
from thirdring.home import Home
from thirdring.journal import DigitPressed, Ended, Entry, ToolUsed, TurnSpoken
from thirdring.record import Record
from thirdring.settings import Settings
from thirdring.watching import IsRefused, Spoken, ToolRun, Wait

ROOT = Path(__file__).parents[3]
SETTINGS = Settings(businesses=(business(),), default_line="+12025550142")
HANG = 30.0

# Whatever needs sound or a terminal fails at once.
WITHOUT_SOUND = (
    "import runpy, sys; sys.modules['sounddevice'] = None; sys.argv = ['ring.py', 'talk'];"
    "runpy.run_path('ring.py', run_name='__main__')"
)


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Start the model that talks of this test reach; it speaks no sooner than it must."""
    async with scripted_model() as running:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", running.server.url)
        yield running


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.TextIOWrapper]:
    """Put a pipe in the place of standard input; what is written is piped in."""
    theirs, ours = os.pipe()
    with os.fdopen(theirs) as stdin, os.fdopen(ours, "w") as writer:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield writer


class Talking(Protocol):
    """Says lines, then hangs up; returns the exit code and what was shown."""

    def __call__(self, *lines: str, **options: Any) -> Awaitable[tuple[int, str]]: ...


@pytest.fixture
def talking(
    keyboard: io.TextIOWrapper, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Talking:
    """Return what talks by a script."""

    async def run(*lines: str, **options: Any) -> tuple[int, str]:
        keyboard.write("".join(f"{line}\n" for line in lines))
        keyboard.close()
        async with asyncio.timeout(HANG):
            code = await talk(Home(tmp_path), SETTINGS, **{"line": None, **options})
        return code, capsys.readouterr().out

    return run


def entries(home: Path) -> list[Entry]:
    """Return the journal of the only call."""
    (path,) = (home / "journals").glob("*.jsonl")
    return list(journal.read(path).entries)


def ending(found: list[Entry]) -> EndReason:
    assert isinstance(found[-1], Ended)
    return found[-1].ending.reason


async def test_piped_lines_are_answered_one_by_one(
    talking: Talking, model: ScriptedModel, tmp_path: Path
) -> None:
    """Greeting, words, tools and waits are shown in their order, and the end of input hangs up."""
    code, shown = await talking("What are your opening hours?", "", "Where are you?")
    found = entries(tmp_path)
    assert (code, ending(found)) == (0, EndReason.CALLER_HUNG_UP)
    order = [
        r"Riverside Clinic, \+12025550142: patient_questions by ",
        r"^agent  Hello, thank you for calling Riverside Clinic",
        r"^you    What are your opening hours\?$",
        r"^tool   opening_hours \{\}$",
        r"^       = .*9 AM.* \(\d\.\d\d s\)$",
        r"^agent  .*9 AM",
        r"^       \d\.\d\d s$",
        r"^you    Where are you\?$",
        r"^agent  We are at ",
        r"You hung up\.",
        re.escape(str(next((tmp_path / "journals").iterdir()))),
    ]
    assert re.search(".*?".join(f"(?:{each})" for each in order), shown, re.DOTALL | re.MULTILINE)
    spoken = [entry.turn.role for entry in found if isinstance(entry, TurnSpoken)]
    assert spoken == [Role.AGENT, Role.CALLER, Role.AGENT, Role.CALLER, Role.AGENT]
    assert [entry.use.name for entry in found if isinstance(entry, ToolUsed)] == ["opening_hours"]


async def test_an_agent_that_hangs_up_ends_the_talk(
    talking: Talking, model: ScriptedModel, tmp_path: Path
) -> None:
    """The goodbye is shown, what was still to be said is not said, and that is a success."""
    code, shown = await talking("Thank you, goodbye.", "What are your opening hours?")
    assert code == 0
    assert "Goodbye.\n" in shown
    assert "The agent said goodbye and hung up." in shown
    assert "opening hours" not in shown
    assert ending(entries(tmp_path)) is EndReason.COMPLETED


async def test_programs_get_one_object_per_event(talking: Talking, model: ScriptedModel) -> None:
    """Those of `thirdring.watching`, between the call and its ending."""
    _, shown = await talking("Can I make an appointment on Sunday?", "/tools", as_json=True)
    events = [json.loads(line) for line in shown.splitlines()]
    assert (events[0]["type"], events[0]["line"]) == ("call", "+12025550142")
    tools = [event["state"] for event in events if event["type"] == "tool"]
    assert tools == ["started", "refused"]
    waits = [event["kind"] for event in events if event["type"] == "latency"]
    assert waits == ["greeting", "reply"]
    assert "find_slots" in next(event["text"] for event in events if event["type"] == "note")
    assert events[-1] == {"type": "ended", "reason": "caller_hung_up", "detail": None}


async def test_commands_show_and_do(talking: Talking, model: ScriptedModel, tmp_path: Path) -> None:
    """Each of them is listed by /help, and none reaches the agent."""
    _, shown = await talking(
        "/help", "/line", "/state", "/instructions", "/press 12#", "/press x", "/nonsense"
    )
    for words in (
        "/again",
        "patient_questions, ",
        "offered slots: none",
        "virtual receptionist of Riverside Clinic",
        "Pressed 12#",
        "Keys are 0-9",
        "There is no /nonsense",
    ):
        assert words in shown
    found = entries(tmp_path)
    assert [entry.digit for entry in found if isinstance(entry, DigitPressed)] == ["1", "2", "#"]
    assert len(model.prompts) == 1


async def test_again_makes_another_call(
    talking: Talking, model: ScriptedModel, tmp_path: Path
) -> None:
    """It has a greeting and a journal of its own."""
    code, shown = await talking("/again", "/quit")
    assert code == 0
    assert shown.count("Hello, thank you for calling") == 2
    assert len(list((tmp_path / "journals").iterdir())) == 2


async def test_metadata_reach_the_model(talking: Talking, model: ScriptedModel) -> None:
    """As those of a dispatch do; the line may be named among them."""
    await talking(dispatched='{"patient_name": "Mary Jones", "line": "+12025550142"}')
    assert "Mary Jones" in model.prompts[0].instructions


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"line": "+12025550177"}, "LINE: no line has this number"),
        ({"dispatched": '{"line": "+12025550177"}'}, r"\+12025550142 \(Riverside Clinic\)"),
        ({"dispatched": '{"lines": 1}'}, "--metadata: metadata.lines"),
        ({"dispatched": "{"}, "--metadata: metadata: is not JSON"),
    ],
)
async def test_what_cannot_be_called_is_said_before_anything_begins(
    talking: Talking, model: ScriptedModel, options: dict[str, str], what: str
) -> None:
    """Neither a call nor a journal is made of it."""
    with pytest.raises(ConfigError, match=what):
        await talking(**options)
    assert model.prompts == []


async def test_without_a_key_nothing_begins(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is named."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY: is not set"):
        await talking("Hello")


async def test_a_call_that_fails_before_any_agent_is_there_says_why(
    talking: Talking, model: ScriptedModel, tmp_path: Path
) -> None:
    """Nobody knows its errand: what a phone would hear is shown, then why, and no traceback."""
    code, shown = await talking("Hello", dispatched='{"errand": "E-1"}')
    assert code == 1
    assert "not in service" in shown
    assert "patient_questions has no errand E-1" in shown
    assert isinstance(entries(tmp_path)[-1], Ended)


@pytest.mark.parametrize("line", [(), ("Hello",)])
async def test_a_model_out_of_reach_is_a_failure_that_says_so(
    talking: Talking, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], tmp_path: Path
) -> None:
    """What a caller on the phone would hear is shown, then why; nothing hangs."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    code, shown = await talking(*line)
    assert code == 1
    assert "We are sorry" in shown
    assert re.search(r"The call failed \(model_failed\): .*Connect call failed", shown)
    assert ending(entries(tmp_path)) is EndReason.MODEL_FAILED


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG):
        while not true():  # noqa: ASYNC110 - a file and a server decide
            await asyncio.sleep(0.01)


async def test_ctrl_c_stops_the_answer_and_then_the_call(
    keyboard: io.TextIOWrapper, model: ScriptedModel, tmp_path: Path
) -> None:
    """The first one lets the caller speak again, the second one hangs up."""
    running = asyncio.create_task(talk(Home(tmp_path), SETTINGS, line=None))
    await until(lambda: bool(model.prompts))
    keyboard.write("What are your opening hours?\n")
    model.may_answer.clear()
    keyboard.flush()
    await until(lambda: len(model.prompts) == 2)
    os.kill(os.getpid(), signal.SIGINT)
    keyboard.write("/press 1\n")
    keyboard.flush()
    await until(lambda: any(isinstance(each, DigitPressed) for each in entries(tmp_path)))
    os.kill(os.getpid(), signal.SIGINT)
    assert await asyncio.wait_for(running, HANG) == 128 + signal.SIGINT
    assert ending(entries(tmp_path)) is EndReason.CALLER_HUNG_UP


def test_nothing_that_a_model_says_commands_the_terminal() -> None:
    """Escapes, bells and line ends are made visible, and rich's markup means nothing."""
    out = io.StringIO()
    evil = "\x1b[2J\a[bold red]x[/]\r\n\u202e\x9b31m"
    for screen in (PlainScreen(echo=True, out=out), JsonScreen(out=out)):
        screen.words(evil)
        screen.end_of_words()
        screen.fixed_line(evil)
        screen.note(evil)
        screen.happening(Spoken(role=Role.CALLER, text=evil))
        screen.happening(Wait(kind="reply", milliseconds=1))
        screen.happening(IsRefused(reason="x", message=evil))
        for state in ("started", "failed"):
            arguments = {evil: evil}
            screen.happening(
                ToolRun(id="1", name=evil, state=state, arguments=arguments, result=evil)
            )
    shown = out.getvalue()
    assert "[bold red]x[/]" in shown
    assert [c for c in shown if not c.isprintable() and c != "\n"] == []


@pytest.mark.server
def test_a_script_books_by_pipe_and_the_record_arrives(stack: Stack) -> None:
    """Without a sound library or a terminal; the courier delivers the call as any other."""
    said = "I'd like to book an appointment.\nTuesday\nthe first one\nMy name is Mary Jones\n"
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_SOUND],
        cwd=ROOT,
        env={**os.environ, **stack.environ},
        input=f"{said}202 555 0123\nYes, that is right.\nNo, that's all.\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "book_appointment" in run.stdout
    assert "The agent said goodbye and hung up." in run.stdout
    assert "\x1b" not in run.stdout
    (call_id,) = re.findall(r"(talk-[0-9a-f]+)\.jsonl", run.stdout)
    record = record_of(stack, call_id)
    assert record.ending.reason is EndReason.COMPLETED
    assert "book_appointment" in [use.name for use in record.tool_uses]


@pytest.mark.parametrize("how", [[], ["--json"]])
@pytest.mark.server
def test_a_talk_that_nobody_reads_any_more_ends(
    stack: Stack, tmp_path: Path, how: list[str]
) -> None:
    """As behind `| head`: the call is hung up, its journal complete, without complaint."""
    with subprocess.Popen(
        [sys.executable, "ring.py", "talk", *how],
        cwd=ROOT,
        env={**os.environ, **stack.environ, "THIRDRING_HOME": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as talked:
        assert talked.stdout is not None
        assert talked.stderr is not None
        try:
            assert b"Riverside" in talked.stdout.readline()
            talked.stdout.close()
            assert talked.wait(timeout=HANG) == 128 + signal.SIGTERM
            assert talked.stderr.read() == b""
        finally:
            talked.kill()
    assert ending(entries(tmp_path)) is EndReason.CALLER_HUNG_UP


def record_of(stack: Stack, call_id: str) -> Record:
    """Return the record of this call once it has been delivered."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for line in stack.received.read_bytes().splitlines() if stack.received.exists() else ():
            body = json.loads(line)["body"]
            if body["call_id"] == call_id:
                return Record.model_validate_json(json.dumps(body))
        time.sleep(0.05)
    raise AssertionError(f"no record of {call_id} within 20 s")


def read_until(terminal: int, text: str, *, count: int = 1) -> str:
    """Return what the program wrote, once `text` is in it so many times."""
    seen, deadline = "", time.monotonic() + 60
    while seen.count(text) < count:
        ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{text!r} did not come, but: {seen[-2000:]}"
        seen += re.sub(r"\x1b\[[0-9;?]*\w", "", os.read(terminal, 65536).decode(errors="replace"))
    return seen


@pytest.mark.server
def test_lines_can_be_edited_and_called_back_on_a_terminal(stack: Stack, tmp_path: Path) -> None:
    """Backspace and arrow up work, Ctrl-D hangs up, and the terminal is left as it was."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    environ = {**os.environ, **stack.environ, "THIRDRING_HOME": str(tmp_path), "TERM": "xterm"}
    talked = subprocess.Popen(
        [sys.executable, "ring.py", "talk"],
        cwd=ROOT,
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    try:
        read_until(ours, "you    ")
        os.write(ours, b"What are your opening hourz\x7fs?\r")
        # Once by the tool, once by the agent.
        read_until(ours, "9 AM", count=2)
        read_until(ours, "you    ")
        os.write(ours, b"\x1b[A\r")
        read_until(ours, "9 AM", count=2)
        read_until(ours, "you    ")
        os.write(ours, b"\x04")
        read_until(ours, "You hung up.")
        assert talked.wait(timeout=30) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        talked.kill()
        talked.wait()
        os.close(ours)
        os.close(theirs)
