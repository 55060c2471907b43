"""A plan, or what was done, for people and for programs; passwords are in neither."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypedDict

from sip.provision.values import Action, Change, Plan, Value, Verb

__all__ = ["Document", "as_json", "as_text", "summary"]

_DONE: Final = {Verb.CREATE: "created", Verb.UPDATE: "updated", Verb.DELETE: "deleted"}
_SECONDS: Final = frozenset({"ringing_timeout", "max_call_duration"})


class _Field(TypedDict):
    name: str
    old: Value | None
    new: Value


class _Entry(TypedDict):
    action: str
    kind: str
    name: str
    id: str | None
    fields: list[_Field]


class _Claim(TypedDict):
    kind: str
    ours: str
    theirs: str
    numbers: Sequence[str]
    reason: str


class Document(TypedDict):
    """What `--json` prints.

    Attributes:
        actions: What is to do, or what was done.
        unchanged: How many of our trunks and rules are as they should be.
        error: Why not all was done.
    """

    actions: list[_Entry]
    unchanged: int
    conflicts: list[_Claim]
    warnings: list[str]
    error: str | None


def as_text(action: Action, *, done: bool = False) -> str:
    """Return an action as lines for people: what it is about, then each field."""
    verb = _DONE[action.verb] if done else action.verb.value
    identifier = f" ({action.id})" if action.id else ""
    return "\n".join((f"{verb} {action.kind} {action.name}{identifier}", *_fields(action)))


def summary(plan: Plan, *, done: bool = False) -> str:
    """Return one line for the end."""
    if not plan.actions:
        return f"nothing to do: {plan.kept} of our trunks and rules are as configured"
    counts = [
        f"{number} {_DONE[verb] if done else f'to {verb}'}"
        for verb in Verb
        if (number := sum(action.verb is verb for action in plan.actions))
    ]
    done_or_planned = ", ".join(counts)
    if not plan.kept:
        return done_or_planned
    return f"{done_or_planned}; {plan.kept} {'are now' if done else 'are'} as configured"


def as_json(plan: Plan, *, warnings: Sequence[str] = (), error: str | None = None) -> Document:
    """Return the same for programs."""
    return {
        "actions": [
            {
                "action": action.verb.value,
                "kind": action.kind.value.replace(" ", "_"),
                "name": action.name,
                "id": action.id,
                "fields": [{"name": c.name, "old": c.old, "new": c.new} for c in action.changes],
            }
            for action in plan.actions
        ],
        "unchanged": plan.kept,
        "conflicts": [
            {
                "kind": conflict.kind.value.replace(" ", "_"),
                "ours": conflict.ours,
                "theirs": conflict.theirs,
                "numbers": conflict.numbers,
                "reason": conflict.reason,
            }
            for conflict in plan.conflicts
        ],
        "warnings": [*warnings],
        "error": error,
    }


def _fields(action: Action) -> Iterator[str]:
    for change in action.changes:
        if change.name == "auth_password" and change.old and change.new:
            yield f"    {change.name}: another one, not shown"
            continue
        new = _spelled(change, change.new)
        old = "" if change.old is None else f"{_spelled(change, change.old)} → "
        yield f"    {change.name}: {old}{new}"


def _spelled(change: Change, value: Value) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if change.name in _SECONDS:
        return f"{value} s"
    return str(value) or "none"
