"""`ring.py demo` when it does not go as its script says: another brain, Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

pytestmark = [pytest.mark.server, pytest.mark.alone]

ROOT = Path(__file__).parents[3]
PATIENCE = 180


@asynccontextmanager
async def demo(
    home: Path, *options: str, **environ: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the demo in a process group of its own, as a shell does, on a narrow screen."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "ring.py", "demo", *options),
        cwd=ROOT,
        env={**os.environ, "THIRDRING_HOME": str(home), "COLUMNS": "60"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def processes_with(variable: str) -> list[str]:
    """Return the folders in /proc of processes that have this in their environment."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is not ours to read
            found += [str(path.parent)] * (variable.encode() in path.read_bytes())
    return found


async def complete(request: web.Request) -> web.Response:
    """Answer the caller's first turn with the hours and the second one with goodbye."""
    last = (asked := (await request.json())["messages"])[-1]
    turns = sum(message["role"] == "user" for message in asked)
    delta: dict[str, Any] = {"content": "Hello from the chat model."}
    if last["role"] == "user":
        function = {"name": "opening_hours" if turns == 1 else "end_call", "arguments": "{}"}
        delta = {"tool_calls": [{"index": 0, "id": "c", "function": function}]}
    elif last["role"] == "tool":
        delta = {"content": f"I can tell you that we are open {last['content']}"}
    return web.Response(text=f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\n")


@pytest.fixture
async def chat_url() -> AsyncIterator[str]:
    """The base URL of a chat model that does not follow the demo's script."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


async def test_a_chat_model_answers_and_what_it_leaves_out_fails_the_demo(
    tmp_path: Path, chat_url: str
) -> None:
    """Its words are spoken, its calls reach the tools; the exit code says what is missing."""
    options = ("--llm-base-url", chat_url, "--llm-model", "tiny")
    # A name with brackets must be shown as it is.
    async with demo(tmp_path / "a [b]", *options) as process:
        stdout, stderr = await process.communicate()
    shown = stdout.decode()
    assert (process.returncode, stderr) == (1, b""), shown
    assert "agent  Hello from the chat model." in shown
    assert "opening_hours() → Monday" in shown
    assert "MISSING  the caller could not follow its script" in shown
    (record,) = (tmp_path / "a [b]" / "demo").glob("*/record.json")
    assert str(record) in shown
    document = json.loads(record.read_text(encoding="utf-8"))
    assert "opening_hours" in {use["name"] for use in document["tool_uses"]}
    said = " ".join(turn["text"] for turn in document["turns"])
    assert "I can tell you that we are open" in said


async def test_ctrl_c_in_the_middle_of_a_call_leaves_nothing(tmp_path: Path) -> None:
    """The caller hangs up, all parts stop, no traceback is shown; exit code 130."""
    async with demo(tmp_path) as process:
        assert process.stdout is not None
        while b"answered" not in (line := await process.stdout.readline()):
            assert line, await process.communicate()
        assert len(processes_with(f"THIRDRING_HOME={tmp_path}")) > 7
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = await process.communicate()
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert processes_with(f"THIRDRING_HOME={tmp_path}") == []
