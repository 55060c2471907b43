"""livekit-sip as a part: LiveKit's own SIP service, on loopback alone.

It is a program that the machine has or has not: it is built with C libraries, so nothing here can
install it. The keys of its configuration are those of livekit-sip 1.10 (pkg/config/config.go).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from local.parts.part import Part
from local.parts.ports import LOOPBACK, Port
from local.parts.probes import answers_sip
from thirdring.errors import PartError

__all__ = ["CONFIGURATION", "find_program", "livekit_sip"]

CONFIGURATION: Final = Path(__file__).parents[2] / "sip" / "trunks" / "sip.yaml"
"""What runs in deployments; here its addresses and ports are moved to loopback."""

_NAMED_BY: Final = "LIVEKIT_SIP_BIN"


def find_program(environ: Mapping[str, str] = os.environ) -> Path:
    """Return livekit-sip: the program that `LIVEKIT_SIP_BIN` names, else that on PATH.

    Raises:
        PartError: There is none; says what can be done.
    """
    named = environ.get(_NAMED_BY)
    found = shutil.which(named or "livekit-sip", path=environ.get("PATH"))
    if found:
        return Path(found)
    what = f"{_NAMED_BY}={named} is no program" if named else "livekit-sip is not on PATH"
    raise PartError(
        f"{what}: build it from github.com/livekit/sip, which takes Go and the headers of libopus, "
        f"libopusfile and libsoxr, then put it on PATH or name it in {_NAMED_BY}. The gateway "
        "needs no such program: leave --sip out"
    )


def livekit_sip(
    log: Path,
    *,
    redis: str,
    port: int,
    rtp_ports: tuple[int, int],
    env: Mapping[str, str],
    program: Path | None = None,
) -> Part:
    """Return livekit-sip on 127.0.0.1; livekit-server must know the same Redis.

    Args:
        redis: Host and port of Redis.
        port: For SIP, over UDP and TCP.
        rtp_ports: First and last UDP port of the audio streams.
        env: `LIVEKIT_URL`, `LIVEKIT_API_KEY` and `LIVEKIT_API_SECRET`.

    Raises:
        PartError: The program is nowhere to be found.
    """
    return Part(
        name="livekit-sip",
        # Its configuration comes by SIP_CONFIG_BODY and the keys by variables of their own: an
        # argument would show in every process list.
        argv=(str(program or find_program()),),
        log=log,
        # Its health page would listen at every address. OPTIONS is answered once it can take calls.
        ready=answers_sip(LOOPBACK, port, "readiness"),
        address=f"sip:{LOOPBACK}:{port}",
        env={
            "LIVEKIT_WS_URL": env["LIVEKIT_URL"],
            "LIVEKIT_API_KEY": env["LIVEKIT_API_KEY"],
            "LIVEKIT_API_SECRET": env["LIVEKIT_API_SECRET"],
            "SIP_CONFIG_BODY": json.dumps(_on_loopback(redis, port, rtp_ports)),
        },
        ports=(Port(port, "udp"), Port(port, "tcp")),
        after=("redis", "livekit-server"),
    )


def _on_loopback(redis: str, port: int, rtp_ports: tuple[int, int]) -> dict[str, object]:
    config = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    first, last = rtp_ports
    changes: dict[str, object] = {
        "redis": {"address": redis},
        "sip_port": port,
        "rtp_port": f"{first}-{last}",
        "listen_ip": LOOPBACK,
        "use_external_ip": False,
        "nat_1_to_1_ip": LOOPBACK,
        "health_port": 0,
        "logging": {"level": "info", "json": False},
    }
    return {**config, **changes}
