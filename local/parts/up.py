"""`python ring.py up`: the parts on their usual ports, until Ctrl-C, for agents started by hand."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

from rich.console import Console

from local.parts.stack import Ports, SipSide, Stack, Wanted, live, plan
from thirdring.environment import offer, shadowed
from thirdring.home import Home

__all__ = ["up", "usual_ports"]

_WEBHOOK: Final = frozenset({"THIRDRING_WEBHOOK_URL", "THIRDRING_WEBHOOK_SECRET"})


def usual_ports() -> Ports:
    """Return the same ports every time; 7880 is where LiveKit's own tools look first."""
    return Ports(livekit=7880, model=8089, receiver=8090, courier=8092, sip=None)


async def up(
    home: Home,
    console: Console,
    *,
    configuration: Path,
    ports: Ports | None = None,
    sip: SipSide = SipSide.GATEWAY,
    llm_base_url: str | None = None,
    llm_model: str | None = None,
) -> None:
    """Run the parts and offer their variables to other commands, until cancelled.

    Raises:
        ConfigError: The configuration is wrong; nothing was started.
        PartError: A part cannot start, or died; all have stopped.
    """
    wanted = Wanted(
        delivery=True, firefox=True, sip=sip, llm_base_url=llm_base_url, llm_model=llm_model
    )
    before = dict(os.environ)
    stack = plan(home, configuration=configuration, ports=ports or usual_ports(), wanted=wanted)
    with offer(home, stack.environ) as path:
        console.print("Starting the parts ...", style="dim")
        async with live(stack):
            _show(console, stack)
            _show_own(console, stack, shadowed(stack.environ, before))
            console.print(f"\nVariables for other terminals (read by themselves): {path}")
            console.print(f"Next, in another terminal:  [bold]{_python()} agent.py dev[/bold]")
            host, port = stack.sip_address
            console.print(
                f"Then dial:                  [bold]sip:{stack.number}@{host}:{port}[/bold]"
            )
            console.print(
                f"Or talk in a browser:       [bold]{_python()} ring.py talk --browser[/bold]"
            )
            console.print("Ctrl-C stops everything.")
            await asyncio.get_running_loop().create_future()


def _python() -> str:
    """Return this interpreter as one would type it here."""
    program = Path(sys.executable)
    here = Path.cwd()
    return str(program.relative_to(here) if program.is_relative_to(here) else program)


def _show(console: Console, stack: Stack) -> None:
    # Plain lines: a table cuts what a narrow terminal should wrap and a reader wants to copy.
    rows = [("part", "address", "log")]
    rows += [(part.name, part.address or "-", _short(part.log)) for part in stack.parts]
    widths = [max(len(row[column]) for row in rows) + 2 for column in (0, 1)]
    for name, address, log in rows:
        console.print(f"{name:<{widths[0]}}{address:<{widths[1]}}{log}", soft_wrap=True)


def _show_own(console: Console, stack: Stack, own: frozenset[str]) -> None:
    """Say what becomes of variables that the user has set as well."""
    for name in sorted(own - _WEBHOOK - {"THIRDRING_HOME"}):
        console.print(f"{name} is set already or belongs to one that is: agent.py keeps yours")
    if own & _WEBHOOK:
        # A call that somebody tries out here is none for the system that real ones go to.
        console.print(
            "THIRDRING_WEBHOOK_URL and _SECRET are set already, and not used while this runs: "
            f"records that would go there are written to {_short(stack.received)}",
            soft_wrap=True,
        )


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
