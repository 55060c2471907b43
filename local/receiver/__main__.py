"""`python -m local.receiver --host 127.0.0.1 --port 8080 --out webhook.jsonl`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from pydantic import SecretStr

from local.receiver.app import Receiver, make_app
from thirdring.errors import PartError
from thirdring.sinks.signing import sign


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.receiver", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 for a free one")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines are appended to it")
    parser.add_argument("--secret-env", metavar="NAME", help="the variable with the whsec_ secret")
    return parser.parse_args()


def _secret(name: str | None) -> SecretStr | None:
    if name is None:
        return None
    if not os.environ.get(name):
        raise PartError(f"the variable {name} is not set; it should hold the whsec_ secret")
    secret = SecretStr(os.environ[name])
    try:
        sign(secret, "", datetime.now(UTC), b"")
    except ValueError as error:
        raise PartError(f"{name}: {error}") from None
    return secret


def _writable(out: Path) -> Path:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("ab"):
            return out
    except OSError as error:
        raise PartError(
            f"the receiver cannot write {out}: {error.strerror}; choose another file with --out"
        ) from None


async def _serve(host: str, port: int, receiver: Receiver) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(make_app(receiver), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        sys.stdout.write(f"receiver listens on http://{host}:{bound}, writes {receiver.out}\n")
        sys.stdout.flush()
        await stop.wait()
    except OSError as error:
        raise PartError(
            f"the receiver cannot listen on {host}:{port}: {error.strerror}; "
            "free the port or choose another with --port"
        ) from error
    finally:
        await runner.cleanup()


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; return the exit code."""
    arguments = _arguments()
    try:
        receiver = Receiver(_writable(arguments.out), _secret(arguments.secret_env))
        asyncio.run(_serve(arguments.host, arguments.port, receiver))
    except PartError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
