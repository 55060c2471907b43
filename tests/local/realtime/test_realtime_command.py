"""`python -m local.realtime` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def command(*options: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.realtime", *options),
        cwd=ROOT,
        env={**os.environ, **environ},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ready_at(process: asyncio.subprocess.Process) -> str:
    """Return the address in the log's line that says so."""
    assert process.stderr is not None
    while line := (await process.stderr.readline()).decode():
        if "ready at " in line:
            return line.split("ready at ")[1].split()[0]
    raise AssertionError("it ended before it was ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_zero(number: signal.Signals) -> None:
    """With a client still connected it closes that connection and exits 0."""
    async with (
        command("--reflex", "--port", "0", "--api-key-env", "RT_KEY", RT_KEY="k") as process,
        aiohttp.ClientSession(headers={"Authorization": "Bearer k"}) as http,
    ):
        url = await ready_at(process)
        async with http.ws_connect(f"{url}/realtime") as socket_:
            await socket_.receive_json()
            process.send_signal(number)
            message = await socket_.receive(timeout=20)
            assert message.data == aiohttp.WSCloseCode.GOING_AWAY
        async with asyncio.timeout(20):
            assert await process.wait() == 0


async def test_health_comes_when_the_models_are_warm() -> None:
    """The script mode listens, and says ok, once everything is loaded."""
    async with command("--port", "0") as process, aiohttp.ClientSession() as http:
        url = (await ready_at(process)).replace("/v1", "/healthz")
        async with http.get(url) as response:
            assert await response.json() == {"status": "ok", "mode": "script", "sessions": 0}
        process.terminate()
        async with asyncio.timeout(20):
            assert await process.wait() == 0


async def test_the_reflex_needs_no_speech_packages() -> None:
    """It runs where neither recogniser nor voice is installed, and loads neither."""
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('moonshine_voice', 'piper'))); "
        "from local.realtime.__main__ import main; sys.exit(main(['--reflex', '--port', '0']))"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    await ready_at(process)
    process.terminate()
    assert await process.wait() == 0


async def test_an_occupied_port_is_one_line() -> None:
    """The line names the address and the way out; no traceback, exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ("--reflex", "--port", str(port), "--log-level", "error")
        async with command(*options) as process:
            _, stderr = await process.communicate()
    assert process.returncode == 1
    assert stderr.decode().count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{port}" in stderr.decode()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--api-key-env", "RT_NO_SUCH"), "RT_NO_SUCH is not set"),
        (("--llm-base-url", "http://127.0.0.1:1/v1"), "--llm-model"),
        (("--workflows", "nowhere"), "no such folder"),
    ],
)
async def test_a_wrong_option_is_told(options: tuple[str, ...], why: str) -> None:
    """Each ends the command with what is wrong and no traceback."""
    async with command("--port", "0", *options) as process:
        _, stderr = await process.communicate()
    assert process.returncode in (1, 2)
    assert why in stderr.decode()
    assert "Traceback" not in stderr.decode()
