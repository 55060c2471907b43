"""What every command of `ring.py` has in common: errors people can mend, exit codes, the log."""

from __future__ import annotations

import logging
import os

import typer
from typer.core import TyperGroup

from thirdring.errors import ConfigError, PhoneError, WrongUse
from thirdring.logs import mask_all_handlers

__all__ = ["INTERRUPTED", "TERMINATED", "WRONG_USE", "Commands", "log_to_stderr"]

WRONG_USE, INTERRUPTED, TERMINATED = 2, 130, 143
_FAILED = 1

# The image that serves calls holds neither (deploy/Dockerfile).
_LEFT_OUT = frozenset({"local", "bench"})


class Commands(TyperGroup):
    """Turns what a user can mend into one clear message and an exit code."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]  # typer's own subclass
        """Turn what a user can mend into one clear message and an exit code."""
        try:
            return super().invoke(ctx)
        except PhoneError as error:
            typer.echo(str(error), err=True)
            code = WRONG_USE if isinstance(error, (ConfigError, WrongUse)) else _FAILED
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in _LEFT_OUT:
                raise
            typer.echo(
                f"{ctx.invoked_subcommand} needs the whole repository, not its image", err=True
            )
            code = _FAILED
        except KeyboardInterrupt:
            code = ctx.obj
        raise typer.Exit(code)


def log_to_stderr() -> None:
    """Log as `LIVEKIT_LOG_LEVEL` says, secrets masked.

    Raises:
        WrongUse: It names no level.
    """
    level = (os.environ.get("LIVEKIT_LOG_LEVEL") or "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise WrongUse(f"LIVEKIT_LOG_LEVEL is {level}; expected debug, info, warning or error")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # One line per delivery is the courier's to write, and a webhook's URL may hold a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    mask_all_handlers()
