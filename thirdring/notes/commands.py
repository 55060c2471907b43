"""The verbs of `python ring.py messages` and `python ring.py callers`. Wiring only.

Each imports what it needs when it runs, so that `--help` waits for nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from thirdring.records.running import with_store

__all__ = ["callers", "messages"]

_FAILED = 1

messages = typer.Typer(no_args_is_help=True)
callers = typer.Typer(
    no_args_is_help=True, help="What is known of callers, and what they want forgotten."
)

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Business = Annotated[str | None, typer.Option(help="Only of this one, by its name in the file.")]
Number = Annotated[str, typer.Argument(help="As in +12025550199.")]


@messages.callback()
def _group() -> None:
    """Messages that callers have left."""
    # Without this, one verb would be no verb.


@messages.command("list")
def list_messages(
    *,
    business: Business = None,
    since: Annotated[
        str | None, typer.Option(help="Taken then or later: 2026-11-20, 2026-11-20T15:30 or 12h.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List messages, the newest first."""
    from thirdring.notes.messages import show_messages
    from thirdring.records.screen import terminal
    from thirdring.records.selecting import moment

    start = None if since is None else moment("--since", since, datetime.now(UTC))
    found = with_store(
        lambda store: show_messages(
            store, terminal(), business=business, since=start, limit=limit, as_json=as_json
        )
    )
    if not found:
        typer.echo("no such messages", err=True)


@callers.command("show")
def show(number: Number, *, business: Business = None, as_json: AsJson = False) -> None:
    """Show what is known of a caller, and from which calls."""
    from thirdring.notes.callers import number_named, show_caller
    from thirdring.records.screen import terminal

    wanted = number_named(number)
    found = with_store(
        lambda store: show_caller(store, terminal(), wanted, business, as_json=as_json)
    )
    if not found:
        typer.echo("nobody knows this number", err=True)


@callers.command("forget")
def forget(number: Number, *, business: Business = None) -> None:
    """Delete what is remembered of a caller, and let nothing be remembered from now on."""
    from thirdring.notes.callers import forget_caller, number_named

    wanted = number_named(number)
    now = datetime.now(UTC)
    done = with_store(lambda store: forget_caller(store, wanted, business, now))
    for name, count in done.items():
        typer.echo(f"{name}: {count} facts deleted; nothing is remembered from now on")
    if business is not None and not any(done.values()):
        typer.echo(
            f"{business} knew nothing of this number: is that its name in the file?", err=True
        )
    if not done:
        typer.echo(
            "nobody knows this number; --business says where it is to stay unknown", err=True
        )
        raise typer.Exit(_FAILED)


@callers.command("allow")
def allow(
    number: Number,
    *,
    business: Annotated[str, typer.Option(help="By its name in the file.")],
) -> None:
    """Let things be remembered again of a caller who did not want it."""
    from thirdring.notes.callers import allow_caller, number_named

    wanted = number_named(number)
    if not with_store(lambda store: allow_caller(store, wanted, business)):
        typer.echo("they have not asked to be forgotten there", err=True)
        raise typer.Exit(_FAILED)
    typer.echo(f"{business}: things may be remembered of this caller again")
