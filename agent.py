"""The LiveKit worker: `python agent.py start`, `dev` or `console --text`. Wiring only."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

try:
    from livekit.agents import AgentServer, JobContext, JobProcess, JobRequest, cli
except ModuleNotFoundError:
    raise SystemExit(
        "this Python lacks the packages: run `make setup`, then `.venv/bin/python agent.py ...`"
    ) from None

from sip import answering
from thirdring import AGENT_NAME, config, home, workflow
from thirdring.access import LIVEKIT_VARIABLES, port, require, require_free
from thirdring.clock import SystemClock
from thirdring.environment import load_environment
from thirdring.errors import ConfigError, PhoneError
from thirdring.logs import mask_all_handlers
from thirdring.store import open_store
from tools.declared import declared_tools, require_installed

if __name__ == "__main__" and "--help" in sys.argv:
    cli.run_app(AgentServer())

load_environment()


def _switchboard() -> answering.Switchboard:
    workflows = workflow.discover()
    path = Path(os.environ.get("THIRDRING_CONFIG") or "thirdring.yaml")
    settings = config.load(path, workflows=workflows, environ=os.environ)
    here = home.Home.from_environment(os.environ).made()
    open_store(here, os.environ)  # to refuse a wrong address now, not a caller later
    require_installed(settings)
    return answering.Switchboard(settings, workflows, here, SystemClock(), declared_tools)


def _require_sound() -> None:
    try:
        importlib.import_module("sounddevice")
    except OSError as error:
        raise PhoneError(
            f"LiveKit's console needs PortAudio even for text ({error}): apt-get install "
            "libportaudio2, or type to the agent with `python ring.py talk`, which needs none"
        ) from None


try:
    board = _switchboard()
    attributes = {home.ATTRIBUTE: board.home.id}
    if "console" in sys.argv:
        _require_sound()
    # The console has a room of its own.
    require(os.environ, "OPENAI_API_KEY", *(() if "console" in sys.argv else LIVEKIT_VARIABLES))
    health_host = os.environ.get("THIRDRING_WORKER_HOST") or "127.0.0.1"
    # As in LiveKit's own defaults, only `start` has a health page at a known port.
    health_port = port(
        os.environ, "THIRDRING_WORKER_PORT", default=8081 if "start" in sys.argv else 0
    )
    if __name__ == "__main__" and health_port:
        require_free(health_host, health_port, "THIRDRING_WORKER_PORT")
except PhoneError as error:
    # A broken file stops the worker here, never a caller later.
    sys.stderr.write(f"{error}\n")
    raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None


def calls_in_progress(server: AgentServer) -> float:
    """Return the share of the configured capacity that is taken.

    Counts calls, not CPU: beside a media server the CPU average marks a worker full in bursts,
    and a dispatch that found it full is never tried again.
    """
    return min(len(server.active_jobs) / board.settings.worker.capacity, 1.0)


def prewarm(process: JobProcess) -> None:
    """Pay for the first use of everything before a call does."""
    answering.prewarm(board)


server = AgentServer(
    setup_fnc=prewarm,
    load_fnc=calls_in_progress,
    load_threshold=1.0,
    num_idle_processes=board.settings.worker.idle_processes,
    preload_modules=["sip.answering", "thirdring.preload"],
    host=os.environ.get("THIRDRING_WORKER_HOST") or "127.0.0.1",
    port=health_port,
)


# Job processes log through this one, so the mask stands here alone.
server.on("worker_started", mask_all_handlers)


async def accept(request: JobRequest) -> None:
    """Take the job, and let the SIP sides see in whose home its journal will be."""
    await request.accept(attributes=attributes)


@server.rtc_session(agent_name=AGENT_NAME, on_request=accept, on_session_end=answering.finish)
async def answer(ctx: JobContext) -> None:
    """Take one call."""
    await answering.answer(ctx, board)


if __name__ == "__main__":
    cli.run_app(server)
