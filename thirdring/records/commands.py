"""The verbs of `python ring.py records`. Wiring only.

Each imports what it needs when it runs, so that `--help` waits for nothing.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thirdring.records.running import home, with_store

if TYPE_CHECKING:
    from thirdring.settings import Settings
    from thirdring.store import Store

__all__ = ["app"]

_FAILED = 1

app = typer.Typer(
    no_args_is_help=True, help="What became of calls: their records and the deliveries of those."
)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Business = Annotated[str | None, typer.Option(help="Only of this one, by its name in the file.")]
Sink = Annotated[str | None, typer.Option(help="Only webhook, file or mongodb.")]
Since = Annotated[
    str | None, typer.Option(help="Opened then or later: 2026-11-20, 2026-11-20T15:30 or 12h.")
]
Until = Annotated[str | None, typer.Option(help="Opened before.")]
Config = Annotated[
    Path, typer.Option("--config", envvar="THIRDRING_CONFIG", help="Businesses and lines.")
]
_CONFIG = Path("thirdring.yaml")


@app.command("list")
def list_calls(
    *,
    business: Business = None,
    since: Since = None,
    until: Until = None,
    ending: Annotated[str | None, typer.Option(help="How it ended: caller_hung_up...")] = None,
    caller: Annotated[str | None, typer.Option(help="A number, or its last digits.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List calls, the newest first."""
    from thirdring.records.listing import show_calls
    from thirdring.records.screen import terminal
    from thirdring.records.selecting import selection

    chosen = selection(
        datetime.now(UTC),
        business=business,
        since=since,
        until=until,
        ending=ending,
        caller=caller,
        limit=limit,
    )
    found = with_store(lambda store: show_calls(store, terminal(), chosen, as_json=as_json))
    if not found:
        typer.echo("no such calls", err=True)
    elif found == limit:
        typer.echo(f"the newest {limit}; --limit shows more", err=True)


@app.command("show")
def show(
    call: Annotated[str, typer.Argument(help="A call id, a record id, or how one begins.")],
    *,
    form: Annotated[
        str, typer.Option("--format", help="text, json, markdown or webvtt (subtitles).")
    ] = "text",
) -> None:
    """Show one call: what was said, what was done, how it ended."""
    from thirdring.records.listing import form_of, show_call
    from thirdring.records.screen import terminal

    chosen = form_of(form)
    with_store(lambda store: show_call(store, home(), terminal(), call, chosen))


@app.command()
def dead(
    *,
    business: Business = None,
    sink: Sink = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """List what nobody tries to deliver any more: dead letters, and what waits behind a 410."""
    from thirdring.records.listing import show_undelivered
    from thirdring.records.screen import terminal
    from thirdring.records.selecting import selection, sink_named

    chosen = selection(datetime.now(UTC), business=business, since=since, until=until)
    named = sink_named(sink)
    found = with_store(
        lambda store: show_undelivered(store, terminal(), chosen, named, as_json=as_json)
    )
    if not found:
        typer.echo("no dead letters", err=True)


@app.command()
def replay(
    call: Annotated[
        str | None, typer.Argument(help="A call id, a record id, or how one begins.")
    ] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="All dead letters and what waits behind a 410.")
    ] = False,
    business: Business = None,
    sink: Sink = None,
    since: Since = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, for more than one record.")] = False,
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Send records again: one, all dead letters, or all since a time, whatever became of them."""
    from thirdring.records.replaying import endpoints_of, run_replay, show_replay, wanted
    from thirdring.records.screen import terminal
    from thirdring.records.selecting import selection, sink_named

    if (call is not None) + (every or since is not None) != 1:
        raise typer.BadParameter("name one call, or say --all, --since or both")
    now = datetime.now(UTC)
    chosen = selection(now, business=business, since=since)
    configured = endpoints_of(_settings(config))

    async def run(store: Store) -> None:
        meant = await wanted(
            store, home(), chosen, configured, call=call, sink=sink_named(sink), undelivered=every
        )
        done = await run_replay(store, meant, now, yes=yes)
        show_replay(terminal(), done, as_json=as_json)
        if not done.done:
            raise typer.Exit(_FAILED)

    with_store(run)


@app.command()
def dismiss(
    call: Annotated[
        str | None, typer.Argument(help="A call id, a record id, or how one begins.")
    ] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="All dead letters and what waits for nobody.")
    ] = False,
    business: Business = None,
    sink: Sink = None,
    until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, for more than one record.")] = False,
    config: Config = _CONFIG,
    as_json: AsJson = False,
) -> None:
    """Strike off deliveries that are dead, parked or to nobody in the file; records stay."""
    from thirdring.records.dismissing import run_dismiss, show_dismissal
    from thirdring.records.replaying import endpoints_of, wanted
    from thirdring.records.screen import terminal
    from thirdring.records.selecting import selection, sink_named

    if (call is not None) == every:
        raise typer.BadParameter("name one call, or say --all")
    now = datetime.now(UTC)
    chosen = selection(now, business=business, until=until)
    configured = endpoints_of(_settings(config))

    async def run(store: Store) -> None:
        meant = await wanted(
            store, home(), chosen, configured, call=call, sink=sink_named(sink), undelivered=True
        )
        done = await run_dismiss(store, meant, now, yes=yes)
        show_dismissal(terminal(), done, as_json=as_json)
        if not done.done:
            raise typer.Exit(_FAILED)

    with_store(run)


@app.command()
def status(
    *,
    longest_wait: Annotated[
        str, typer.Option("--max-wait", help="So long a record may wait to be delivered.")
    ] = "1h",
    as_json: AsJson = False,
) -> None:
    """Say how deliveries stand; exit code 1 when somebody must look, for monitoring."""
    from thirdring.records import status as state
    from thirdring.records.screen import terminal
    from thirdring.records.selecting import duration

    longest = duration("--max-wait", longest_wait)

    async def run(store: Store) -> bool:
        found = await state.status(store, home(), datetime.now(UTC))
        return state.show_status(terminal(), found, longest, as_json=as_json)

    if not with_store(run):
        raise typer.Exit(_FAILED)


@app.command()
def verify(
    *,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Store the records that are missing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every journal with its record, byte for byte; exit code 1 when one differs."""
    from thirdring.records.screen import terminal
    from thirdring.records.verdict import run_verify, show_verdict

    async def run(store: Store) -> bool:
        now = datetime.now(UTC)
        verdict = await run_verify(store, home(), terminal(stderr=True), now, rebuild=rebuild)
        show_verdict(terminal(), verdict, as_json=as_json)
        return verdict.ok

    if not with_store(run, make=rebuild):
        raise typer.Exit(_FAILED)


def _settings(config: Path) -> Settings:
    from thirdring import config as configuration
    from thirdring import workflow

    return configuration.load(config, workflows=workflow.discover(), environ=os.environ)
