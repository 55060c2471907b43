"""The LiveKit worker: `python agent.py start`, `dev` or `console --text`. Wiring only."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

try:
    from livekit.agents import AgentServer, JobRequest, cli
except ModuleNotFoundError:
    raise SystemExit(
        "this Python lacks the packages: run `make setup`, then `.venv/bin/python agent.py ...`"
    ) from None

from sip import answering
from sip.reception import Reception, answer
from thirdring import AGENT_NAME, home
from thirdring.access import LIVEKIT_VARIABLES, port, require, require_free
from thirdring.environment import load_environment
from thirdring.errors import ConfigError, PhoneError
from thirdring.logs import mask_all_handlers
from thirdring.store import open_store
from tools.declared import declared_tools, require_installed

if __name__ == "__main__" and "--help" in sys.argv:
    cli.run_app(AgentServer())

load_environment()


def _reception() -> Reception:
    path = Path(os.environ.get("THIRDRING_CONFIG") or "thirdring.yaml")
    found = Reception(path, declared_tools)
    open_store(found.board.home, os.environ)  # to refuse a wrong address now, not a caller later
    require_installed(found.settings)
    if "console" in sys.argv:
        _require_sound()
    # The console has a room of its own.
    require(os.environ, "OPENAI_API_KEY", *(() if "console" in sys.argv else LIVEKIT_VARIABLES))
    return found


def _require_sound() -> None:
    try:
        importlib.import_module("sounddevice")
    except OSError as error:
        raise PhoneError(
            f"LiveKit's console needs PortAudio even for text ({error}): apt-get install "
            "libportaudio2, or type to the agent with `python ring.py talk`, which needs none"
        ) from None


def _health_page() -> tuple[str, int]:
    host = os.environ.get("THIRDRING_WORKER_HOST") or "127.0.0.1"
    # As in LiveKit's own defaults, only `start` has a health page at a known port.
    known = port(os.environ, "THIRDRING_WORKER_PORT", default=8081 if "start" in sys.argv else 0)
    if __name__ == "__main__" and known:
        require_free(host, known, "THIRDRING_WORKER_PORT")
    return host, known


def _worker() -> AgentServer:
    reception = _reception()
    health_host, health_port = _health_page()
    attributes = {home.ATTRIBUTE: reception.board.home.id}

    async def accept(request: JobRequest) -> None:
        # Lets the SIP sides see in whose home the journal of the call will be.
        await request.accept(attributes=attributes)

    worker = AgentServer(
        setup_fnc=reception,
        load_fnc=reception.calls_in_progress,
        load_threshold=1.0,
        num_idle_processes=reception.settings.worker.idle_processes,
        # Job processes are forked from one that has imported these.
        preload_modules=[
            *("sip.reception", "tools.declared"),
            *(f"workflows.{name}" for name in reception.board.workflows),
            "thirdring.preload",
        ],
        host=health_host,
        port=health_port,
    )
    # Job processes log through this one, so the mask stands here alone.
    worker.on("worker_started", mask_all_handlers)
    worker.on("worker_started", reception.configuration.follow)
    session = worker.rtc_session(
        agent_name=AGENT_NAME, on_request=accept, on_session_end=answering.finish
    )
    session(answer)
    return worker


# A job process imports this file too, and needs nothing of it: the worker gives it what it has read
# itself, for the file may be broken by then.
if __name__ != "__mp_main__":
    try:
        server = _worker()
    except PhoneError as error:
        # A broken file stops the worker here, never a caller later.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None


if __name__ == "__main__":
    cli.run_app(server)
