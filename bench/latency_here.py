"""`python ring.py latency`: all parts on this machine with the reflex model, measured, judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bench.latency import measure, measure_greetings
from bench.latency_report import LatencyReport, misses, render, to_json
from local.parts.stack import Stack, Wanted, stack
from thirdring.home import Home

__all__ = ["run"]


async def run(home: Home, console: Console, *, calls: int, json_file: Path | None = None) -> int:
    """Measure `calls` calls of each kind and print the table; return 1 when a bound is missed.

    Args:
        json_file: Where every call and the table go.

    Raises:
        ConfigError: The configuration is wrong.
        PhoneError: A part does not start, or no call can be placed.
    """
    with Progress(console=console, transient=True) as progress:

        def counted(what: str) -> Callable[[int], None]:
            task = progress.add_task(what, total=calls)
            return lambda done: progress.update(task, completed=done)

        console.print("Starting all parts with the reflex as the model ...", style="dim")
        async with stack(home, wanted=Wanted(reflex=True, worker=True)) as running:
            report = await measure(_target(running), calls, on_call=counted("calls to the reflex"))
        console.print("Starting all parts with the model that speaks ...", style="dim")
        async with stack(home, wanted=Wanted(worker=True, delivery=True)) as running:
            on_call = counted("calls that are greeted")
            spoken = await measure_greetings(_target(running), calls, on_call=on_call)
    report = replace(report, spoken=spoken)
    console.print(render(report))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(to_json(report), indent=2) + "\n", encoding="utf-8")
    return _judge(report, console)


def _target(running: Stack) -> str:
    host, port = running.sip_address
    return f"sip:{running.number}@{host}:{port}"


def _judge(report: LatencyReport, console: Console) -> int:
    missed = misses(report)
    for miss in missed:
        console.print(f"MISSED {miss}", style="bold red")
    return 1 if missed else 0
