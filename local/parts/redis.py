"""Redis as a part: where livekit-server keeps trunks and rules, and meets livekit-sip."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from local.parts.part import Part
from local.parts.ports import LOOPBACK, Port, free_port
from local.parts.probes import Probe
from thirdring.errors import PartError

__all__ = ["find_program", "redis_server"]

_PATIENCE = 1.0


def find_program(*, path: str | None = None) -> Path | None:
    """Return redis-server, or Valkey's, which speaks the same, from PATH.

    Args:
        path: Folders as in PATH; None for PATH itself.
    """
    found = shutil.which("redis-server", path=path) or shutil.which("valkey-server", path=path)
    return Path(found) if found else None


def redis_server(log: Path, *, port: int | None = None, program: Path | None = None) -> Part:
    """Return Redis on 127.0.0.1, which forgets everything when it stops.

    It has no password: an argument would show in every process list, and its standard input, where
    a configuration could come from, belongs to the leash.

    Args:
        port: None for a free one.

    Raises:
        PartError: The program is nowhere to be found.
    """
    program = program or find_program()
    if program is None:
        raise PartError(
            "redis-server is not on PATH: `apt-get install redis-server` or `brew install redis`"
        )
    port = port or free_port()
    return Part(
        name="redis",
        argv=(
            *(str(program), "--bind", LOOPBACK, "--port", str(port), "--daemonize", "no"),
            # Nothing is to be found again: what should be there is applied anew.
            *("--save", "", "--appendonly", "no", "--dir", str(log.parent.absolute())),
        ),
        log=log,
        ready=_answers_ping(port),
        address=f"{LOOPBACK}:{port}",
        ports=(Port(port),),
    )


def _answers_ping(port: int) -> Probe:
    async def probe() -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError):
            return False

    return probe
