"""Starts local programs in order, waits until each answers, notices a death, and stops them all.

A part's program runs under a leash (`leash.py`), so that it ends with us however we end.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.parts.ports import Port
from local.parts.probes import Probe
from thirdring.errors import PartError

__all__ = ["Part", "running"]

_LEASH = Path(__file__).with_name("leash.py")
_ROOT = Path(__file__).parents[2]
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.2
_LONGEST_WORDS = 400


@dataclass(frozen=True)
class Part:
    """One local program.

    Attributes:
        log: Gets its standard output and standard error; begins anew with every start.
        ready: Asked again and again until it says yes.
        address: What people are shown.
        env: On top of our own environment.
        ports: Checked to be free before it starts.
        after: Names of the parts that must be ready before this one starts.
        patience: Seconds until it must be ready.
        grace: Seconds between SIGTERM and SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    ready: Probe
    address: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    after: tuple[str, ...] = ()
    patience: float = 30.0
    grace: float = 5.0


@asynccontextmanager
async def running(parts: Sequence[Part]) -> AsyncIterator[None]:
    """Keep all parts running; enter when each has said that it is ready.

    They start in parallel where `after` allows, and stop in reverse. When a part
    dies the body is cancelled and PartError leaves this context manager.

    Raises:
        PartError: A port is taken, a part died or was not ready in time; nothing runs by then.
        ValueError: Two parts have one name, or one comes after a part that is not among them.
    """
    names = {part.name for part in parts}
    if len(names) < len(parts):
        raise ValueError("two parts have one name")
    if absent := {name for part in parts for name in part.after} - names:
        raise ValueError(f"no part is called {', '.join(sorted(absent))}")
    for part in parts:
        for port in part.ports:
            port.check(part.name)
    try:
        async with asyncio.TaskGroup() as group:
            crew = _Crew(parts)
            crew.tasks = {part.name: group.create_task(crew.live(part)) for part in parts}
            try:
                for ready in crew.ready.values():
                    await ready.wait()
                yield
            finally:
                for task in crew.tasks.values():
                    # When a part died the group has done so; twice, none would be waited for.
                    if not task.cancelling():
                        task.cancel()
    except BaseExceptionGroup as failures:
        # The first is the cause: a part that died, or the body; the rest follows from it.
        failure = failures.exceptions[0]
    else:
        return
    raise failure


class _Crew:
    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.ready = {part.name: asyncio.Event() for part in parts}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def live(self, part: Part) -> None:
        """Run one part until it dies (PartError) or this task is cancelled."""
        for name in part.after:
            await self.ready[name].wait()
        async with _leashed(part) as process:
            try:
                await _await_ready(part, process)
                self.ready[part.name].set()
                await process.wait()
            except asyncio.CancelledError:
                # Last in, first out: whoever needs this part stops before it.
                if dependants := [self.tasks[p.name] for p in self.parts if part.name in p.after]:
                    await asyncio.wait(dependants)
                raise
            raise _died(part, process, "ended unexpectedly")


@asynccontextmanager
async def _leashed(part: Part) -> AsyncIterator[asyncio.subprocess.Process]:
    # Logs may hold what was said.
    part.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with part.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LEASH), str(part.grace), *part.argv),
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **part.env},
            cwd=_ROOT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _await_ready(part: Part, process: asyncio.subprocess.Process) -> None:
    pause = _FIRST_PAUSE
    try:
        async with asyncio.timeout(part.patience):
            while process.returncode is None and not await part.ready():
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
    except TimeoutError:
        raise PartError(
            f"{part.name} was not ready within {part.patience:g} s; {_told(part.log)}"
        ) from None
    if process.returncode is not None:
        raise _died(part, process, "did not start")


def _died(part: Part, process: asyncio.subprocess.Process, how: str) -> PartError:
    return PartError(f"{part.name} {how} (exit code {process.returncode}); {_told(part.log)}")


def _told(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = f"its last words: {lines[-1][:_LONGEST_WORDS]}" if lines else "it said nothing"
    return f"{said}; its log: {log}"
