"""`python agent.py`: what its commands do for the person who types them."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from local.parts.stack import Stack
from thirdring import journal
from thirdring.calls import EndReason
from thirdring.journal import Ended

_ROOT = Path(__file__).parents[1]


def _start(*arguments: str, environ: Mapping[str, str], terminal: int) -> subprocess.Popen[bytes]:
    # A shell that starts the tests in the background has them ignore Ctrl-C, and so would this. A
    # handler of ours is not inherited, and gives way to the default.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, "agent.py", *arguments],
            cwd=_ROOT,
            env={"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "120", **environ},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _read_until(terminal: int, text: str, *, seen: str = "", seconds: float = 60) -> str:
    """Return what the program wrote, once `text` is in it."""
    deadline = time.monotonic() + seconds
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{text!r} did not come within {seconds} s, but: {seen[-2000:]}"
        # Colours would stand between the letters.
        seen += re.sub(r"\x1b\[[0-9;?]*\w", "", os.read(terminal, 65536).decode(errors="replace"))
    return seen


def _type_until_it_ends(console: subprocess.Popen[bytes], terminal: int, line: bytes) -> None:
    """Type a line, again where nobody listened yet: each prompt drops what is there already."""
    typed = 0.0
    while console.poll() is None:
        if time.monotonic() - typed > 3:
            typed = time.monotonic()
            os.write(terminal, line)
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 65536)


def _run_without_settings(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "agent.py", *arguments],
        cwd=_ROOT,
        env={"PATH": os.environ["PATH"], "THIRDRING_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.server
def test_the_console_answers_a_typed_question(stack: Stack, tmp_path: Path) -> None:
    """`console --text` greets, calls the tool, answers, and ends when the agent hangs up."""
    ours, theirs = pty.openpty()
    environ = {**stack.environ, "THIRDRING_HOME": str(tmp_path)}
    console = _start("console", "--text", environ=environ, terminal=theirs)
    try:
        _read_until(ours, "Riverside")
        os.write(ours, b"What are your opening hours?\r")
        answer = _read_until(ours, "9 AM")
        _read_until(ours, "opening_hours", seen=answer)
        _type_until_it_ends(console, ours, b"Thank you, goodbye.\r")
        assert console.returncode == 0
        (path,) = (tmp_path / "journals").iterdir()
        last = journal.read(path).entries[-1]
        assert isinstance(last, Ended)
        assert last.ending.reason is EndReason.COMPLETED
    finally:
        console.kill()
        console.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.server
def test_dev_registers_with_the_local_server(stack: Stack, tmp_path: Path) -> None:
    """`dev` finds the server by its variables, and Ctrl-C ends it."""
    ours, theirs = pty.openpty()
    environ = {**stack.environ, "THIRDRING_HOME": str(tmp_path), "THIRDRING_WORKER_PORT": "0"}
    dev = _start("dev", environ=environ, terminal=theirs)
    try:
        _read_until(ours, "registered worker")
        dev.send_signal(signal.SIGINT)
        assert dev.wait(timeout=30) == 0
    finally:
        dev.kill()
        dev.wait()
        os.close(ours)
        os.close(theirs)


def test_a_missing_variable_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    """Starting without any variable set names those that are missing."""
    start = _run_without_settings("start", home=tmp_path)
    assert start.returncode == 2
    assert "THIRDRING_WEBHOOK_URL" in start.stderr
    assert "Traceback" not in start.stderr


@pytest.mark.server
def test_a_busy_health_port_is_one_line_and_a_failure(stack: Stack) -> None:
    """A supervisor must see that the worker did not start."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        start = subprocess.run(
            [sys.executable, "agent.py", "start"],
            cwd=_ROOT,
            env={**os.environ, **stack.environ, "THIRDRING_WORKER_PORT": port},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (start.returncode, start.stdout) == (1, "")
    assert start.stderr.startswith(f"port {port} of 127.0.0.1 cannot be used")
    assert "Traceback" not in start.stderr


@pytest.mark.server
def test_a_console_without_portaudio_says_what_to_do(stack: Stack, tmp_path: Path) -> None:
    """LiveKit's console would end in a traceback; our own talk needs no sound."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    environ = {**os.environ, **stack.environ, "PYTHONPATH": str(tmp_path)}
    console = subprocess.run(
        [sys.executable, "agent.py", "console", "--text"],
        cwd=_ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (console.returncode, console.stdout) == (1, "")
    assert "libportaudio2" in console.stderr
    assert "ring.py talk" in console.stderr
    assert "Traceback" not in console.stderr


def test_help_needs_no_settings(tmp_path: Path) -> None:
    """`--help` works before anything is set up."""
    shown = _run_without_settings("--help", home=tmp_path)
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("start", "dev", "console"))
