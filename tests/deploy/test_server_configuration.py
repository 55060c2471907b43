"""livekit-server itself reads livekit.yaml, strictly."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from livekit import api

from local.parts.livekit_server import Keys, find_program, livekit_server
from local.parts.part import running
from local.parts.ports import free_port
from local.parts.redis import redis_server

ROOT = Path(__file__).parents[2]
FILE = ROOT / "livekit.yaml"
needs_redis = pytest.mark.skipif(
    not shutil.which("redis-server"), reason="redis-server is not installed"
)


def ports(configuration: Path) -> str:
    """Return what livekit-server says of the ports in a file, or of the file."""
    done = subprocess.run(
        [str(find_program()), "--config", str(configuration), "ports"],
        env={**os.environ, "LIVEKIT_KEYS": f"key: {'s' * 32}"},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout + done.stderr


@pytest.mark.server
def test_the_server_reads_it_as_it_stands(tmp_path: Path) -> None:
    """It names our ports, and refuses the file once a key in it is none of its own."""
    said = ports(FILE)
    assert all(number in said for number in ("7880", "7881", "7882"))
    broken = tmp_path / "livekit.yaml"
    broken.write_text(FILE.read_text().replace("udp_port", "udp_prot"))
    assert "udp_prot" in ports(broken)


@pytest.mark.server
@needs_redis
async def test_the_server_runs_with_it(tmp_path: Path) -> None:
    """With free ports, and Redis at hand, the server starts, has its SIP service, and tells all."""
    keys, redis = Keys(), redis_server(tmp_path / "redis.log")
    part = livekit_server(tmp_path / "livekit-server.log", keys, redis=redis.address)
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    document["port"] = part.ports[0].number
    document["redis"]["address"] = redis.address
    document["rtc"].update(udp_port=free_port(), tcp_port=free_port())
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    document["webhook"]["urls"] = [f"http://127.0.0.1:{(port := free_port())}/livekit"]
    moved = {
        **part.env,
        "LIVEKIT_CONFIG": yaml.safe_dump(document),
        "LIVEKIT_WEBHOOK_API_KEY": keys.api_key,
    }
    # In its first 0.1 s it does not hear SIGTERM.
    server = replace(part, env=moved, grace=0.2)
    async with (
        listening(port, told),
        running([redis, server]),
        api.LiveKitAPI(server.address, keys.api_key, keys.api_secret) as live,
    ):
        trunks = await live.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        await live.room.create_room(api.CreateRoomRequest(name="any"))
        async with asyncio.timeout(10):
            body, token = await told.get()
    verifier = api.TokenVerifier(keys.api_key, keys.api_secret)
    assert api.WebhookReceiver(verifier).receive(body, token).event == "room_started"
    assert list(trunks.items) == []


@asynccontextmanager
async def listening(port: int, told: asyncio.Queue[tuple[str, str]]) -> AsyncIterator[None]:
    """Pass on what is posted, with who says so."""

    async def receive(request: web.Request) -> web.Response:
        told.put_nowait((await request.text(), request.headers["Authorization"]))
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/livekit", receive)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await runner.cleanup()


@pytest.mark.server
@needs_redis
async def test_redis_is_well_while_it_answers(tmp_path: Path) -> None:
    """The health check of the compose file asks a real Redis, and fails without one."""
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    kind, *command = compose["services"]["redis"]["healthcheck"]["test"]
    redis = redis_server(tmp_path / "redis.log")
    moved = [str(redis.ports[0].number) if word == "6379" else word for word in command]
    assert (kind, moved != command) == ("CMD", True)
    async with running([redis]):
        assert await exit_code(*moved) == 0
    assert await exit_code(*moved) != 0


async def exit_code(*command: str) -> int:
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet)
    return await process.wait()
