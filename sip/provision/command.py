"""`ring.py sip plan` and `ring.py sip apply`: what they print, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Protocol

from sip.provision.applying import Conflicting, apply, plan
from sip.provision.report import as_json, as_text, summary
from sip.provision.server import ProvisionError
from sip.provision.values import Action, Plan
from sip.provision.wanted import warnings
from thirdring.access import LiveKitAccess
from thirdring.settings import Settings

__all__ = ["Command", "run_apply", "run_plan"]

Print = Callable[[str], None]

_FAILED = 1


class Command(Protocol):
    """What both of them are to the command line."""

    def __call__(
        self,
        settings: Settings,
        access: LiveKitAccess,
        *,
        destroy: bool,
        json_wanted: bool,
        out: Print,
        err: Print,
    ) -> Coroutine[None, None, int]:
        """Return the exit code."""


async def run_plan(
    settings: Settings,
    access: LiveKitAccess,
    *,
    destroy: bool,
    json_wanted: bool,
    out: Print,
    err: Print,
) -> int:
    """Print what `apply` would do; 1 when a conflict would keep it from doing so.

    Raises:
        ProvisionError: LiveKit cannot be asked; with `json_wanted` the document says so instead.
    """
    cautions = [] if destroy else warnings(settings)
    if json_wanted:
        try:
            found = await plan(settings, access, destroy=destroy)
        except ProvisionError as error:
            out(_document(Plan(), cautions, error))
            return _FAILED
        out(_document(found, cautions))
        return _FAILED if found.conflicts else 0
    found = await plan(settings, access, destroy=destroy)
    _warn(cautions, err)
    if found.conflicts:
        raise Conflicting(found.conflicts)
    for action in found.actions:
        out(as_text(action))
    out(summary(found))
    return 0


async def run_apply(
    settings: Settings,
    access: LiveKitAccess,
    *,
    destroy: bool,
    json_wanted: bool,
    out: Print,
    err: Print,
) -> int:
    """Make LiveKit match, and print each step once it is done.

    Raises:
        ProvisionError: Not all could be done; with `json_wanted` the document says so instead.
    """
    cautions = [] if destroy else warnings(settings)
    if not json_wanted:
        _warn(cautions, err)
        finished = await apply(
            settings, access, destroy=destroy, tell=lambda action: out(as_text(action, done=True))
        )
        out(summary(finished, done=True))
        return 0
    done: list[Action] = []
    try:
        finished = await apply(settings, access, destroy=destroy, tell=done.append)
    except ProvisionError as error:
        conflicts = error.conflicts if isinstance(error, Conflicting) else ()
        out(_document(Plan(actions=tuple(done), conflicts=conflicts), cautions, error))
        return _FAILED
    out(_document(finished, cautions))
    return 0


def _document(plan: Plan, cautions: list[str], error: ProvisionError | None = None) -> str:
    why = str(error) if error else None
    return json.dumps(as_json(plan, warnings=cautions, error=why), indent=2)


def _warn(cautions: list[str], err: Print) -> None:
    for caution in cautions:
        err(f"warning: {caution}")
