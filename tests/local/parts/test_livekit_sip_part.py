"""livekit-sip takes the gateway's place; its own part of a call is not in these tests."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from pathlib import Path

import pytest
from livekit import api

from local.parts.livekit_sip import find_program
from local.parts.stack import Ports, SipSide, Wanted, plan, stack
from tests.peers import livekit_sip_stand_in
from thirdring.errors import PartError
from thirdring.home import Home

CONFIGURATION = Path(__file__).parents[3] / "thirdring.yaml"
needs_redis = pytest.mark.skipif(
    not shutil.which("redis-server"), reason="redis-server is not installed"
)


def program(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_one_that_is_named_comes_before_path(tmp_path: Path) -> None:
    """LIVEKIT_SIP_BIN wins over PATH, which is good enough without it."""
    on_path = program(tmp_path / "bin" / "livekit-sip")
    named = program(tmp_path / "built" / "sip")
    environ = {"PATH": str(on_path.parent)}
    assert find_program(environ) == on_path
    assert find_program({**environ, "LIVEKIT_SIP_BIN": str(named)}) == named


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "livekit-sip is not on PATH: "),
        ({"LIVEKIT_SIP_BIN": "/absent"}, "LIVEKIT_SIP_BIN=/absent is no program: "),
    ],
    ids=["PATH", "named"],
)
def test_without_a_program_the_error_says_what_to_do(
    tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    """It says how to get one, and that the gateway works without."""
    with pytest.raises(PartError, match="The gateway needs no such program") as raised:
        find_program({"PATH": str(tmp_path), **environ})
    assert str(raised.value).startswith(words)


@needs_redis
def test_nothing_is_planned_without_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ring.py up --sip livekit-sip` ends with that message before anything has started."""
    monkeypatch.setenv("LIVEKIT_SIP_BIN", str(tmp_path / "absent"))
    wanted = Wanted(sip=SipSide.LIVEKIT_SIP)
    with pytest.raises(PartError, match="LIVEKIT_SIP_BIN"):
        plan(Home(tmp_path), configuration=CONFIGURATION, ports=Ports(), wanted=wanted)
    assert list(tmp_path.iterdir()) == []


@needs_redis
@pytest.mark.server
async def test_all_around_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told of Redis, server and loopback, and trunk and rule of the line are there."""
    told = tmp_path / "told.json"
    stand_in = f"exec {sys.executable} {livekit_sip_stand_in.__file__} {told} $*"
    path = program(tmp_path / "bin" / "livekit-sip", stand_in)
    monkeypatch.setenv("LIVEKIT_SIP_BIN", str(path))
    wanted = Wanted(model=False, sip=SipSide.LIVEKIT_SIP)
    async with stack(Home(tmp_path / "home"), configuration=CONFIGURATION, wanted=wanted) as up:
        keys = [up.environ[f"LIVEKIT_{name}"] for name in ("URL", "API_KEY", "API_SECRET")]
        async with api.LiveKitAPI(*keys) as live:
            trunks = await live.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
            rules = await live.sip.list_dispatch_rule(api.ListSIPDispatchRuleRequest())
        addresses = {part.name: part.address for part in up.parts}
        with socket.create_connection(up.sip_address):
            pass
    start = json.loads(told.read_text())
    assert (start["argv"], start["LIVEKIT_WS_URL"]) == ([], keys[0])
    assert start["config"] == {
        "redis": {"address": addresses["redis"]},
        "sip_port": up.sip_address[1],
        "rtp_port": "20000-20999",
        "listen_ip": "127.0.0.1",
        "nat_1_to_1_ip": "127.0.0.1",
        "use_external_ip": False,
        "health_port": 0,
        "media_timeout": "15s",
        "logging": {"level": "info", "json": False},
    }
    numbers = [line.number for business in up.settings.businesses for line in business.lines]
    assert [list(trunk.numbers) for trunk in trunks.items] == [numbers]
    assert [list(rule.trunk_ids) for rule in rules.items] == [[trunks.items[0].sip_trunk_id]]
    assert keys[2] not in "".join(argument for part in up.parts for argument in part.argv)
