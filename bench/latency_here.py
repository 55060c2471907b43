"""`python ring.py latency`: all parts on this machine with the reflex model, measured, judged."""

from __future__ import annotations

from rich.console import Console
from rich.progress import Progress

from bench.latency import measure
from bench.latency_report import misses, render
from local.parts.stack import Wanted, stack
from thirdring.home import Home

__all__ = ["run"]


async def run(home: Home, console: Console, *, calls: int) -> int:
    """Measure `calls` calls and print the table; return 1 when a bound is missed.

    Raises:
        ConfigError: The configuration is wrong.
        PhoneError: A part does not start, or no call can be placed.
    """
    console.print("Starting livekit-server, reflex model, gateway and worker ...", style="dim")
    async with stack(home, wanted=Wanted(reflex=True, worker=True)) as running:
        host, port = running.sip_address
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task(f"{calls} calls", total=calls)
            report = await measure(
                f"sip:{running.number}@{host}:{port}",
                calls,
                on_call=lambda done: progress.update(task, completed=done),
            )
    console.print(render(report))
    missed = misses(report)
    for miss in missed:
        console.print(f"MISSED {miss}", style="bold red")
    return 1 if missed else 0
