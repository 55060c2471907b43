"""`python -m local.receiver` as a process, and deliveries of ours to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.samples import LOOPBACK, SECRET
from thirdring.settings import WebhookEndpoint
from thirdring.sinks.results import Outcome
from thirdring.sinks.webhook import WebhookSink, open_client

ROOT = Path(__file__).parents[3]


async def start(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.receiver", *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def receiving(out: Path, *arguments: str) -> AsyncIterator[str]:
    """Run the receiver on a free port and yield its URL; it must end well on SIGTERM."""
    process = await start(
        "--port", "0", "--out", str(out), *arguments, SECRET=SECRET.get_secret_value()
    )
    try:
        assert process.stdout is not None
        first = (await process.stdout.readline()).decode()
        assert first.startswith("receiver listens on http://127.0.0.1:")
        yield first.split()[3].rstrip(",")
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 0


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


async def test_a_signed_delivery_is_noted(tmp_path: Path) -> None:
    """A delivery of ours is verified, and in the file when it is answered."""
    out = tmp_path / "sub" / "webhook.jsonl"
    async with receiving(out, "--secret-env", "SECRET") as url, open_client(LOOPBACK) as client:
        sink = WebhookSink(client, WebhookEndpoint(url=url, secret=SECRET))
        result = await sink.deliver("id-1", b'{"a": 1}', datetime.now(UTC))
        assert (result.outcome, result.status) == (Outcome.DELIVERED, 204)
        (line,) = lines(out)
    assert (line["verified"], line["body"]) == (True, {"a": 1})
    headers = line["headers"]
    assert isinstance(headers, dict)
    assert headers["webhook-id"] == "id-1"
    assert datetime.fromisoformat(str(line["received_at"])).tzinfo is not None


async def test_a_wrong_signature_is_refused_and_noted(tmp_path: Path) -> None:
    """A delivery that nobody signed is answered 401 and stays visible."""
    out = tmp_path / "webhook.jsonl"
    async with receiving(out, "--secret-env", "SECRET") as url, httpx.AsyncClient() as client:
        assert (await client.post(url, content=b"{}")).status_code == 401
    assert [(line["verified"], line["body"]) for line in lines(out)] == [(False, {})]


async def test_without_a_secret_nothing_is_verified(tmp_path: Path) -> None:
    """Anything is noted, JSON or not, and the health check answers."""
    out = tmp_path / "webhook.jsonl"
    async with receiving(out) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/healthz")).status_code == 200
        for body in (b"not json \xff", b"[" * 100_000):
            assert (await client.post("/", content=body)).status_code == 204
    assert [line["verified"] for line in lines(out)] == [None, None]
    assert lines(out)[0]["body"] == "not json \ufffd"


async def failure(*arguments: str, **environment: str) -> tuple[int | None, list[str]]:
    process = await start(*arguments, **environment)
    _, errors = await process.communicate()
    return process.returncode, errors.decode().splitlines()


async def test_an_occupied_port_is_one_line(tmp_path: Path) -> None:
    """The port is named, the exit code is not zero, and there is no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = await failure("--port", str(port), "--out", str(tmp_path / "out"))
    assert (code, len(errors)) == (1, 1)
    assert f"127.0.0.1:{port}" in errors[0]


@pytest.mark.parametrize("out", [".", "file/webhook.jsonl"])
async def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path, out: str) -> None:
    """A folder, or a path through a file, is told at start and not by every delivery."""
    (tmp_path / "file").touch()
    code, errors = await failure("--port", "0", "--out", str(tmp_path / out))
    assert (code, len(errors)) == (1, 1)
    assert "cannot write" in errors[0]


@pytest.mark.parametrize("value", ["", "whsec_***"])
async def test_a_missing_secret_is_one_line(tmp_path: Path, value: str) -> None:
    """The variable is named, not its value."""
    code, errors = await failure(
        "--port", "0", "--out", str(tmp_path / "out"), "--secret-env", "HOOK", HOOK=value
    )
    assert (code, len(errors)) == (1, 1)
    assert "HOOK" in errors[0]
    assert "***" not in errors[0]
