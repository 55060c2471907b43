"""`python ring.py chaos`: storms, obstacles, a plain worker, the state machine; then a ledger."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from local.chaos.field import Terms, open_field
from local.chaos.obstacles import full_disk, locked_store
from local.chaos.report import Report, as_json, ledger, obstacles, side_by_side
from local.chaos.run import FULL, QUICK, SPOKEN, Plan, storm
from local.chaos.stock import CASES, compare
from thirdring.home import Home

__all__ = ["run"]

_MACHINE = "tests/chaos/test_state_machine.py"
_MACHINE_STEPS = 10_000
_WAVES = 2
_LOCKED_SECONDS = 30.0


async def run(
    home: Home,
    console: Console,
    *,
    seed: int | None = None,
    quick: bool = False,
    json_file: Path | None = None,
) -> int:
    """Do everything, print it, and return 1 when something does not balance.

    Args:
        home: Each run has a folder of its own below it, named after its seed.
        seed: None for a new one.
        quick: Only the storm of 100 kills.
        json_file: Where the figures go as well.

    Raises:
        PartError: A program does not start, or does not come up again after a kill.
    """
    seed = random.randrange(10_000) if seed is None else seed
    folder = _new_folder(home.root / "chaos", seed)
    console.print(f"Seed {seed}; logs and all that is left: {folder}", soft_wrap=True)
    report = Report(seed)
    plans = {"100 kills": QUICK} if quick else {"silent calls": FULL, "spoken calls": SPOKEN}
    with Progress(console=console, transient=True) as progress:
        for name, plan in plans.items():
            await _storm(report, name, plan, folder, progress)
            console.print(ledger(f"{name}, seed {seed}", report.storms[name]))
        if not quick:
            await _rest(report, folder, console, progress)
    if not quick:
        report.machine_held = await _state_machine(seed)
    code = _judge(report, console)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(as_json(report), indent=2) + "\n", encoding="utf-8")
    return code


def _new_folder(root: Path, seed: int) -> Path:
    number, folder = 1, root / f"seed-{seed}"
    while folder.exists():
        number += 1
        folder = root / f"seed-{seed}.{number}"
    folder.mkdir(mode=0o700, parents=True)
    return folder


async def _storm(report: Report, name: str, plan: Plan, folder: Path, progress: Progress) -> None:
    kills = sum(plan.kills.values())
    killing = progress.add_task(f"kills, {name}", total=kills)
    calling = progress.add_task("calls", total=plan.calls)

    def told(killed: int, called: int) -> None:
        progress.update(killing, completed=killed)
        progress.update(calling, completed=called)

    terms = Terms(seed=report.seed, speech=plan.spoken is not None)
    async with open_field(folder / name.replace(" ", "-"), terms) as site:
        report.storms[name] = await storm(plan, site, report.seed, told)


async def _rest(report: Report, folder: Path, console: Console, progress: Progress) -> None:
    async with _step(progress, "obstacles", 2) as done:
        report.obstacles.append(await full_disk(folder / "full-disk"))
        done()
        report.obstacles.append(await locked_store(folder / "locked-store", _LOCKED_SECONDS))
        done()
    console.print(obstacles(report.obstacles))
    async with _step(progress, "beside a plain worker", 2 * len(CASES)) as done:
        report.plain, report.ours = [
            await compare(
                folder / ("plain" if plain else "ours"),
                _WAVES,
                report.seed,
                plain=plain,
                on_case=lambda _: done(),
            )
            for plain in (True, False)
        ]
    console.print(side_by_side(report.plain, report.ours))


@asynccontextmanager
async def _step(progress: Progress, name: str, total: int) -> AsyncIterator[Callable[[], None]]:
    task = progress.add_task(name, total=total)
    yield lambda: progress.advance(task)


async def _state_machine(seed: int) -> bool:
    """Run the state machine's test as long as it takes to make its steps."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-n0", _MACHINE, f"--hypothesis-seed={seed}"),
        cwd=Path(__file__).parents[2],
        env={**os.environ, "THIRDRING_CHAOS_STEPS": str(_MACHINE_STEPS)},
    )
    return await process.wait() == 0


def _judge(report: Report, console: Console) -> int:
    for problem in report.problems:
        console.print(f"DOES NOT BALANCE  {problem}", style="bold red", soft_wrap=True)
    if not report.problems:
        console.print("The ledger balances.", style="bold green")
    return 1 if report.problems else 0
