"""The worker of agent.py, but for its first call, whose job process kills itself.

It does so once it has taken the journal, before anything was said: a crash at a known moment.
Needs the variable `DYING_WORKER_MARK`, a file that is there once it has happened.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from livekit.agents import AgentServer, JobContext, cli

import agent
from sip import answering
from thirdring import AGENT_NAME

server = AgentServer(
    setup_fnc=agent.prewarm,
    load_fnc=lambda: 0.0,
    num_idle_processes=2,
    host="127.0.0.1",
    port=int(os.environ["THIRDRING_WORKER_PORT"]),
)


async def _die(*_: Any) -> None:
    Path(os.environ["DYING_WORKER_MARK"]).touch()
    os.kill(os.getpid(), signal.SIGKILL)


@server.rtc_session(agent_name=AGENT_NAME, on_request=agent.accept, on_session_end=answering.finish)
async def answer(ctx: JobContext) -> None:
    """Take one call, or die of the first one."""
    if not Path(os.environ["DYING_WORKER_MARK"]).exists():
        answering._speak = _die  # type: ignore[assignment]  # it takes what it is given
    await answering.answer(ctx, agent.board)


if __name__ == "__main__":
    cli.run_app(server)
