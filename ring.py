"""Every command but the worker's: `python ring.py --help`. Wiring only.

Each verb imports what it needs when it runs, so that `--help` does not wait for LiveKit.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from warnings import filterwarnings

try:
    import typer
except ModuleNotFoundError:
    raise SystemExit(
        "this Python lacks the packages: run `make setup`, then `.venv/bin/python ring.py ...`"
    ) from None
from rich.console import Console

from sip.trunk_commands import trunks
from thirdring.command_line import (
    INTERRUPTED,
    TERMINATED,
    WRONG_USE,
    Commands,
    log_to_stderr,
)
from thirdring.environment import load_environment
from thirdring.errors import ConfigError
from thirdring.home import Home
from thirdring.notes.commands import callers, messages
from thirdring.records.commands import app as records

if TYPE_CHECKING:
    from thirdring.following import Configuration
    from thirdring.settings import Settings

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Thirdring: a phone line that answers itself. The worker itself is `python agent.py`.",
)

Config = Annotated[
    Path, typer.Option("--config", envvar="THIRDRING_CONFIG", help="Businesses and lines.")
]
_CONFIG = Path("thirdring.yaml")


@app.callback()
def _prepare(ctx: typer.Context) -> None:
    def terminate(_number: int, _frame: object) -> None:
        ctx.obj = TERMINATED
        signal.raise_signal(signal.SIGINT)

    ctx.obj = INTERRUPTED
    # Whoever runs `livekit-server --dev` has the secret "secret", and knows.
    filterwarnings("ignore", "The HMAC key is ")
    # Recordings, records and logs are nobody else's business.
    os.umask(0o077)
    # SIGTERM ends a command as Ctrl-C does, which asyncio turns into an orderly cancellation. Said
    # outright, because a shell starts its background programs with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, terminate)
    load_environment()


def _settings(config: Path) -> Settings:
    from thirdring import config as configuration
    from thirdring import workflow

    return configuration.load(config, workflows=workflow.discover(), environ=os.environ)


def _followed(config: Path) -> Configuration:
    from thirdring import workflow
    from thirdring.following import Configuration

    return Configuration.opened(config, workflow.discover(), os.environ)


def _home() -> Home:
    from thirdring.store import open_store

    home = Home.from_environment(os.environ).made()
    open_store(home, os.environ)  # to refuse a wrong address before anything starts
    return home


def _home_with_room() -> Home:
    # Before anything starts. Not for the gateway: calls go on where nothing can be kept of them.
    return _home().with_room()


@app.command()
def demo(
    *,
    workflow: Annotated[
        str, typer.Option(help="Whose demo.yaml is played, to the line that runs it.")
    ] = "patient_questions",
    listen: Annotated[
        bool,
        typer.Option("--listen", help="Stay up for your own softphone instead of a scripted call."),
    ] = False,
    openai: Annotated[
        bool,
        typer.Option("--openai", help="Talk to OpenAI with OPENAI_API_KEY, not the local model."),
    ] = False,
    llm_base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible chat model for the local voice.")
    ] = None,
    llm_model: Annotated[str | None, typer.Option(help="Its name at that endpoint.")] = None,
) -> None:
    """Play one call to the agent on this machine, without any account or key."""
    home = _home_with_room()
    from local import demo as show

    code = asyncio.run(
        show.run(
            home,
            workflow=workflow,
            listen=listen,
            openai=openai,
            llm_base_url=llm_base_url,
            llm_model=llm_model,
        )
    )
    raise typer.Exit(code)


@app.command()
def up(
    *,
    config: Config = _CONFIG,
    sip: Annotated[
        Literal["gateway", "livekit-sip"],
        typer.Option(help="What takes the calls; livekit-sip must be installed."),
    ] = "gateway",
    llm_base_url: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible chat model for the local voice.")
    ] = None,
    llm_model: Annotated[str | None, typer.Option(help="Its name at that endpoint.")] = None,
) -> None:
    """Run livekit-server, the local model, a SIP side, receiver and courier until Ctrl-C."""
    from local.parts.stack import SipSide
    from local.parts.up import up as run

    asyncio.run(
        run(
            _home_with_room(),
            Console(highlight=False),
            configuration=config,
            sip=SipSide(sip),
            llm_base_url=llm_base_url,
            llm_model=llm_model,
        )
    )


@app.command()
def gateway(
    *,
    config: Config = _CONFIG,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Instead of the configured SIP port; 0 for a free one."
        ),
    ] = None,
) -> None:
    """Take SIP calls and put them into LiveKit rooms."""
    from sip.gateway import fixed_at_start, serve
    from thirdring.access import LiveKitAccess

    log_to_stderr()
    followed = _followed(config)
    followed.say_of(fixed_at_start)
    settings = followed.settings
    if port is not None:
        changed = settings.gateway.model_copy(update={"port": port})
        settings = settings.model_copy(update={"gateway": changed})
    access = LiveKitAccess.from_environment(os.environ)
    asyncio.run(serve(settings, access, _home(), changes=followed.changes()))


@app.command()
def courier(
    *,
    config: Config = _CONFIG,
    once: Annotated[bool, typer.Option("--once", help="Deliver what is due, then end.")] = False,
) -> None:
    """Turn ended calls into records and deliver them to their webhooks."""
    from sip import courier as service

    log_to_stderr()
    home = _home_with_room()
    followed = _followed(config)
    done = service.run(home, followed.settings, os.environ, once=once, followed=followed)
    asyncio.run(done)


@app.command()
def check(
    *,
    config: Config = _CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check the configuration: every problem at once, each with its place."""
    from thirdring.checking import check as run

    checked = run(config, os.environ)
    if as_json:
        typer.echo(json.dumps(checked.document(), indent=2))
        raise typer.Exit(WRONG_USE if checked.problems else 0)
    if checked.problems:
        raise ConfigError(checked.problems)
    for warning in checked.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(checked.sentence(config))


Line = Annotated[
    str | None, typer.Argument(help="A number of thirdring.yaml; its default_line by default.")
]


@app.command()
def token(
    line: Line = None,
    *,
    config: Config = _CONFIG,
    valid_for: Annotated[
        str, typer.Option(help="How long one can enter with it, such as 90s, 30m, 12h or 7d.")
    ] = "1h",
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
) -> None:
    """Print URL and token for a browser, such as the LiveKit Agents playground."""
    from sip import tokens
    from thirdring import lines
    from thirdring.access import LiveKitAccess

    validity = tokens.validity(valid_for)
    access = LiveKitAccess.from_environment(os.environ)
    business, chosen = lines.named(_settings(config), line)
    minted = tokens.mint(access, chosen, validity=validity)
    if as_json:
        typer.echo(json.dumps(minted.document(business), indent=2))
        return
    typer.echo(f"LIVEKIT_URL={minted.url}\nLIVEKIT_TOKEN={minted.token}")
    typer.echo(minted.explanation(business), err=True)


@app.command()
def talk(
    line: Line = None,
    *,
    config: Config = _CONFIG,
    browser: Annotated[
        bool, typer.Option("--browser", help="By voice, on a page that this command serves.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the page; 0 for any free one.")
    ] = 8091,
    metadata: Annotated[
        str, typer.Option(help="What a dispatch would say of the call, a JSON object.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per event.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the log, too.")] = False,
) -> None:
    """Talk to the agent of a line: by keyboard here, or by voice in a browser."""
    if browser and (metadata or as_json or verbose):
        raise typer.BadParameter("--metadata, --json and --verbose are for the keyboard")
    if browser:
        from local.talk.browser import serve
        from thirdring import lines
        from thirdring.access import LiveKitAccess

        access = LiveKitAccess.from_environment(os.environ)
        business, chosen = lines.named(_settings(config), line)
        asyncio.run(serve(access, business, chosen, port=port))
        return
    home = _home_with_room()
    from local.talk.terminal import talk as run

    code = asyncio.run(
        run(
            home,
            _settings(config),
            line=line,
            dispatched=metadata,
            as_json=as_json,
            verbose=verbose,
        )
    )
    raise typer.Exit(code)


app.add_typer(records, name="records")
app.add_typer(messages, name="messages")
app.add_typer(callers, name="callers")
app.add_typer(trunks, name="sip")


@app.command()
def latency(
    *,
    calls: Annotated[int, typer.Option("--n", min=1, help="Calls of each kind.")] = 40,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="A file for every call and the table.")
    ] = None,
) -> None:
    """Measure mouth-to-ear and barge-in with the reflex model, beside the published figures."""
    from bench.latency_here import run

    home = Home(_home().root / "latency")
    console = Console(highlight=False)
    raise typer.Exit(asyncio.run(run(home, console, calls=calls, json_file=json_file)))


@app.command()
def bench_courier(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="A fifth of everything.")] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="A file for all figures.")
    ] = None,
) -> None:
    """Measure from BYE to webhook, and how fast a backlog goes; judge it against its bounds."""
    from bench.courier_here import QUICK, Sizes, run

    home, sizes = Home(_home().root / "bench-courier"), QUICK if quick else Sizes()
    done = run(home, Console(highlight=False), sizes, json_file=json_file)
    raise typer.Exit(asyncio.run(done))


@app.command()
def bench_tools(
    *, calls: Annotated[int, typer.Option("--n", min=100, help="Tool calls.")] = 500
) -> None:
    """Measure what a tool costs besides its own work; judge it against its bounds."""
    from bench.tool_overhead import run

    raise typer.Exit(asyncio.run(run(Console(highlight=False), n=calls)))


@app.command()
def chaos(
    *,
    seed: Annotated[int | None, typer.Option(help="That of a run which is to be repeated.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only the storm of 100 kills.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="For all figures.")] = None,
) -> None:
    """Kill what serves calls at random times; balance calls made against records received."""
    from local.chaos.command import run

    console = Console(highlight=False)
    done = run(_home(), console, seed=seed, quick=quick, json_file=json_file)
    raise typer.Exit(asyncio.run(done))


try:
    from local.studio.commands import add_to
except ModuleNotFoundError as error:
    if error.name != "local":  # of which the image that serves calls holds nothing
        raise
else:
    add_to(app)


if __name__ == "__main__":
    app()
