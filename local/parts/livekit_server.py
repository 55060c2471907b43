"""livekit-server as a part: where its program is, and how it runs on loopback alone."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from local.parts.part import Part
from local.parts.ports import LOOPBACK, Port, free_port
from local.parts.probes import answers_http
from thirdring.errors import PartError

__all__ = ["CACHE", "VERSION", "Keys", "find_program", "livekit_server"]

VERSION = "1.13.5"
CACHE = Path(__file__).parents[2] / ".cache" / "bin"
_DISCARD: Final = 9


@dataclass(frozen=True)
class Keys:
    """The key pair of one run; livekit-server wants a secret of 32 characters or more."""

    api_key: str = "local"
    api_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)


def find_program(*, path: str | None = None, cache: Path = CACHE) -> Path | None:
    """Return livekit-server of a fitting version from PATH, else from the cache, else None.

    Args:
        path: Folders as in PATH; None for PATH itself.
    """
    for folders in (path, str(cache)):
        found = shutil.which("livekit-server", path=folders)
        if found and _fits(Path(found)):
            return Path(found)
    return None


def _fits(program: Path) -> bool:
    # The third figure is for bug fixes; another second one may change what the agent sees.
    series = VERSION.rpartition(".")[0]
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.strip().startswith(f"livekit-server version {series}.")


def livekit_server(
    log: Path,
    keys: Keys,
    *,
    port: int | None = None,
    program: Path | None = None,
    redis: str | None = None,
    media_also_at: str | None = None,
    webhook: str | None = None,
) -> Part:
    """Return livekit-server on 127.0.0.1.

    Args:
        port: For signalling; None for a free one. Media always takes free ones.
        media_also_at: An address of this machine on its network, for Firefox: it connects no media
            to loopback.
        redis: Address of the part "redis" that runs beside it; None: no SIP service.
        webhook: Where it tells what happens in rooms, such as to the courier; it does not matter
            whether anybody listens there.

    Raises:
        PartError: The program is nowhere to be found.
    """
    program = program or find_program()
    if program is None:
        raise PartError(
            f"livekit-server {VERSION} is neither on PATH nor in {CACHE}: `make setup` installs it"
        )
    http, udp = port or free_port(), free_port()
    return Part(
        name="livekit-server",
        # The configuration comes by LIVEKIT_CONFIG and the keys by LIVEKIT_KEYS: an argument
        # would show in every process list.
        argv=(str(program),),
        log=log,
        ready=answers_http(f"http://{LOOPBACK}:{http}/"),
        address=f"ws://{LOOPBACK}:{http}",
        env={
            "LIVEKIT_CONFIG": json.dumps(
                {
                    **_config(http, udp, redis, media_also_at),
                    **_webhook(webhook, keys),
                }
            ),
            "LIVEKIT_KEYS": f"{keys.api_key}: {keys.api_secret}",
        },
        ports=(Port(http), Port(udp, "udp")),
        # It does not start without a Redis that it was told of.
        after=("redis",) if redis else (),
    )


def _config(http: int, udp: int, redis: str | None, media_also_at: str | None) -> dict[str, object]:
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    where: dict[str, object] = {"node_ip": LOOPBACK, "interfaces": {"includes": [loopback]}}
    if media_also_at:
        # With `node_ip` every candidate would carry that one address; without it the server asks a
        # public STUN server first, for 5 s where there is none, unless it does only ICE lite.
        where = {
            "ips": {"includes": [f"{LOOPBACK}/32", f"{media_also_at}/32"]},
            "use_ice_lite": True,
        }
    return {
        "port": http,
        "bind_addresses": [LOOPBACK],
        "rtc": {
            # The server would listen for it at every address of the machine; UDP never fails here.
            "tcp_port": 0,
            "udp_port": udp,
            "use_external_ip": False,
            # Else it names public ones to everybody who joins, who then look up each name from each
            # address: some 60 threads for 10 s per participant where no name can be resolved.
            "stun_servers": [f"{LOOPBACK}:{_DISCARD}"],
            **where,
            "enable_loopback_candidate": True,
        },
        "logging": {"level": "info", "json": False},
        **({"redis": {"address": redis}} if redis else {}),
    }


def _webhook(url: str | None, keys: Keys) -> dict[str, object]:
    return {"webhook": {"urls": [url], "api_key": keys.api_key}} if url else {}
