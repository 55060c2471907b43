"""The programs of a run: started, killed with SIGKILL by their own process id, started again.

Unlike `local.parts` a program stays as it was killed: no leash takes its children with it, for they
are what a real kill leaves behind. All are gone when the context ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # it ships no types

from local.parts.part import Part
from thirdring.errors import PartError

__all__ = ["Program", "Programs"]

_ROOT = Path(__file__).parents[2]
_TETHER = Path(__file__).with_name("tether.py")


@dataclass
class Program:
    """One program and its present life.

    Attributes:
        lives: How often it was started; the log of each has its number.
        outages: From which kill until when it was up again, in seconds since the epoch.
    """

    part: Part
    lives: int = 0
    outages: list[tuple[float, float]] = field(default_factory=list)
    _process: asyncio.subprocess.Process | None = None
    _doomed: bool = False
    _killed_at: float = 0.0
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _groups: list[tuple[int, float]] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """The process id of this life."""
        assert self._process is not None, f"{self.part.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Begin a new life; return when it is ready.

        Raises:
            PartError: It died, or was not ready in time.
        """
        await self.launch()
        await self.wait_until_ready()

    async def launch(self) -> None:
        """Begin a new life."""
        part = self.part
        part.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if part.log.exists():
            part.log.rename(part.log.with_suffix(f".{self.lives}.log"))
        self.lives += 1
        self._doomed = False
        with part.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_TETHER), *part.argv),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **part.env},
                cwd=_ROOT,
                start_new_session=True,
            )
        self._groups.append((self._process.pid, time.time()))

    async def revive(self) -> None:
        """Have it up again after a kill, whoever else asks for the same or kills it meanwhile.

        Raises:
            PartError: It died without having been killed, or was not ready in time.
        """
        async with self._changing:
            down_at = self._killed_at
            while self._doomed:
                await self.gone()
                await self.launch()
                try:
                    await self.wait_until_ready()
                except PartError:
                    if not self._doomed:
                        raise
                else:
                    self.outages.append((down_at, time.time()))

    async def wait_until_ready(self) -> None:
        """Wait until this life is ready.

        Raises:
            PartError: It died, or was not ready in time.
        """
        deadline = time.monotonic() + self.part.patience
        while not await self.part.ready():
            if not self.running or time.monotonic() > deadline:
                last = self.part.log.read_text(errors="replace").strip().splitlines()[-1:]
                raise PartError(
                    f"{self.part.name} is not ready: {last[0] if last else 'it said nothing'}; "
                    f"its log: {self.part.log}"
                )
            await asyncio.sleep(0.05)

    def kill(self) -> float:
        """Send SIGKILL to this process alone; return when, in seconds since the epoch."""
        at = time.time()
        if not self._doomed:
            self._killed_at = at
        self._doomed = True
        if self.running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        return at

    async def gone(self) -> None:
        """Wait until it has died."""
        if self._process is not None:
            await self._process.wait()

    def children(self) -> list[psutil.Process]:
        """Return the processes that it has started and that live, at any depth."""
        with suppress(psutil.NoSuchProcess):
            return list(psutil.Process(self.pid).children(recursive=True))
        return []

    async def end(self) -> None:
        """End it and all that its lives have left behind."""
        if self.running and self._process is not None:
            self._process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.part.grace):
                    await self._process.wait()
        for left in self.left_behind():
            with suppress(psutil.NoSuchProcess):
                left.kill()
        await self.gone()

    def left_behind(self) -> Iterator[psutil.Process]:
        """Yield the living processes of all its lives' groups."""
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                group = os.getpgid(process.pid)
                if any(
                    group == ours and process.create_time() >= since - 1
                    for ours, since in self._groups
                ):
                    yield process


class Programs:
    """Several programs by name, started in the order of their parts."""

    def __init__(self, parts: tuple[Part, ...]) -> None:
        self._programs = {part.name: Program(part) for part in parts}

    def __getitem__(self, name: str) -> Program:
        return self._programs[name]

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.TaskGroup() as group:
                started = {name: asyncio.Event() for name in self._programs}
                for program in self._programs.values():
                    group.create_task(self._start(program, started))
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end()

    async def _start(self, program: Program, started: dict[str, asyncio.Event]) -> None:
        for name in program.part.after:
            if name in started:
                await started[name].wait()
        await program.start()
        started[program.part.name].set()

    async def _end(self) -> None:
        for program in reversed(self._programs.values()):
            await program.end()
