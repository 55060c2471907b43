"""The worker of agent.py, but for its first call, whose job process kills itself.

It does so once it has taken the journal, before anything was said: a crash at a known moment.
Needs the variable `DYING_WORKER_MARK`, a file that is there once it has happened.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from livekit.agents import AgentServer, JobContext, JobRequest, cli

from sip import answering, reception
from thirdring import AGENT_NAME
from thirdring.environment import load_environment
from thirdring.home import ATTRIBUTE, Home
from tools.declared import declared_tools

load_environment()


async def _die(*_: Any) -> None:
    Path(os.environ["DYING_WORKER_MARK"]).touch()
    os.kill(os.getpid(), signal.SIGKILL)


async def answer(ctx: JobContext) -> None:
    """Take one call, or die of the first one."""
    if not Path(os.environ["DYING_WORKER_MARK"]).exists():
        answering._speak = _die  # type: ignore[assignment]  # it takes what it is given
    await reception.answer(ctx)


async def _accept(request: JobRequest) -> None:
    await request.accept(attributes={ATTRIBUTE: Home.from_environment(os.environ).id})


if __name__ == "__main__":
    server = AgentServer(
        setup_fnc=reception.Reception(Path(os.environ["THIRDRING_CONFIG"]), declared_tools),
        load_fnc=lambda: 0.0,
        num_idle_processes=2,
        host="127.0.0.1",
        port=int(os.environ["THIRDRING_WORKER_PORT"]),
    )
    session = server.rtc_session(
        agent_name=AGENT_NAME, on_request=_accept, on_session_end=answering.finish
    )
    session(answer)
    cli.run_app(server)
