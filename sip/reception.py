"""Who is served, in the worker and in each of its job processes, as the configuration changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sip import answering
from thirdring import workflow
from thirdring.clock import SystemClock
from thirdring.following import Configuration, Taken
from thirdring.home import Home
from thirdring.settings import Settings

if TYPE_CHECKING:
    from livekit.agents import AgentServer, JobContext, JobProcess

    from thirdring.more_tools import Finding

__all__ = ["Reception", "answer"]

_RECEPTION: Final = "reception"


class Reception:
    """Everything that a worker needs to take calls; also what prewarms its job processes.

    Pickled for a job process it takes along what the worker has read: a process that starts while
    the file is broken serves by the last good one, too, and starts sooner.

    Args:
        configuration: Where it is.
        more_tools: As the switchboard has it.
        taken: What the worker has read; None to read it here.

    Raises:
        ConfigError: Workflows, configuration or home are wrong.
    """

    def __init__(
        self, configuration: Path, more_tools: Finding, taken: Taken | None = None
    ) -> None:
        self._path = configuration
        workflows, environ = workflow.discover(), os.environ
        if taken is None:
            self.configuration = Configuration.opened(configuration, workflows, environ)
        else:
            self.configuration = Configuration.handed(configuration, workflows, environ, taken)
        self.configuration.say_of(_fixed_at_start)
        home = Home.from_environment(environ).made()
        self.board = answering.Switchboard(
            self.settings, workflows, home, SystemClock(), more_tools
        )

    def __reduce__(self) -> tuple[type[Reception], tuple[Path, Finding, Taken]]:
        return Reception, (self._path, self.board.more_tools, self.configuration.taken)

    @property
    def settings(self) -> Settings:
        """The last that were good."""
        return self.configuration.settings

    def __call__(self, process: JobProcess) -> None:
        """Make an idle job process ready (`setup_fnc`)."""
        answering.prewarm(self.board)
        process.userdata[_RECEPTION] = self
        self.configuration.follow()

    def calls_in_progress(self, server: AgentServer) -> float:
        """Return the share of the configured capacity that is taken (`load_fnc`).

        Counts calls, not CPU: beside a media server the CPU average marks a worker full in bursts,
        and a dispatch that found it full is never tried again.
        """
        return min(len(server.active_jobs) / self.settings.worker.capacity, 1.0)


async def answer(ctx: JobContext) -> None:
    """Answer the call of this job by the configuration as it is now."""
    reception: Reception = ctx.proc.userdata[_RECEPTION]
    settings = await reception.configuration.current()
    await answering.answer(ctx, replace(reception.board, settings=settings))


def _fixed_at_start(settings: Settings) -> Mapping[str, object]:
    return {"worker.idle_processes": settings.worker.idle_processes}
