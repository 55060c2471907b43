"""The verbs of `python ring.py sip`. Wiring only.

Each imports what it needs when it runs, so that `--help` waits for nothing.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sip.provision import Command

__all__ = ["trunks"]

Config = Annotated[
    Path, typer.Option("--config", envvar="THIRDRING_CONFIG", help="Businesses and lines.")
]
_CONFIG = Path("thirdring.yaml")

trunks = typer.Typer(no_args_is_help=True, help="LiveKit SIP: inbound trunks and dispatch rules.")

Destroy = Annotated[
    bool, typer.Option("--destroy", help="Take away what `apply` made; others' stay untouched.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


@trunks.command("plan")
def sip_plan(
    *, config: Config = _CONFIG, destroy: Destroy = False, as_json: AsJson = False
) -> None:
    """Show what `sip apply` would change; nothing is written."""
    from sip.provision import run_plan

    _provision(run_plan, config, destroy=destroy, as_json=as_json)


@trunks.command("apply")
def sip_apply(
    *, config: Config = _CONFIG, destroy: Destroy = False, as_json: AsJson = False
) -> None:
    """Make LiveKit's trunks and rules match the configuration; again changes nothing."""
    from sip.provision import run_apply

    _provision(run_apply, config, destroy=destroy, as_json=as_json)


def _provision(run: Command, config: Path, *, destroy: bool, as_json: bool) -> None:
    from thirdring import config as configuration
    from thirdring import workflow
    from thirdring.access import LiveKitAccess

    settings = configuration.load(config, workflows=workflow.discover(), environ=os.environ)
    code = asyncio.run(
        run(
            settings,
            LiveKitAccess.from_environment(os.environ),
            destroy=destroy,
            json_wanted=as_json,
            out=typer.echo,
            err=partial(typer.echo, err=True),
        )
    )
    raise typer.Exit(code)
