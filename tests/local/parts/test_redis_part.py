"""Redis is found on PATH, answers on loopback alone, and gives livekit-server its SIP service."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types; livekit-agents brings it
import pytest
from livekit import api

from local.parts.livekit_server import Keys, livekit_server
from local.parts.part import running
from local.parts.redis import find_program, redis_server
from thirdring.errors import PartError


def test_without_a_program_the_error_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has no Redis learns what to install."""
    monkeypatch.setattr("local.parts.redis.find_program", lambda: None)
    with pytest.raises(PartError, match="`apt-get install redis-server`"):
        redis_server(tmp_path / "log")


def test_valkey_is_as_good(tmp_path: Path) -> None:
    """Where Redis was replaced by Valkey, its server is taken."""
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_program(path=str(tmp_path)) == program


@pytest.mark.server
@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")
async def test_with_redis_livekit_server_has_a_sip_service(tmp_path: Path) -> None:
    """Beside it livekit-server lists trunks; Redis listens on loopback and leaves no file."""
    keys = Keys()
    redis = redis_server(tmp_path / "logs" / "redis.log")
    server = replace(
        livekit_server(tmp_path / "logs" / "livekit.log", keys, redis=redis.address),
        grace=0.2,  # in its first 0.1 s it does not hear SIGTERM
    )
    async with (
        running([server, redis]),
        api.LiveKitAPI(server.address, keys.api_key, keys.api_secret) as live,
    ):
        trunks = await live.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        (at,) = (
            {socket.laddr.ip for socket in child.net_connections("inet") if socket.laddr}
            for child in psutil.Process().children(recursive=True)
            if any(
                s.status == "LISTEN" and s.laddr.port == redis.ports[0].number
                for s in child.net_connections("inet")
            )
        )
    assert list(trunks.items) == []
    assert at == {"127.0.0.1"}
    assert {path.name for path in redis.log.parent.iterdir()} == {"redis.log", "livekit.log"}
