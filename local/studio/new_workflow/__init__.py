"""New workflow: answers what callers ask, and notes why they call."""

from __future__ import annotations

from typing import ClassVar

from thirdring.outcome import Outcome
from thirdring.workflow import Workflow
from tools import calls, hours, outcome

__all__ = ["CallReason", "workflow"]


class CallReason(Outcome):
    """What a call leaves behind; it is part of its record."""

    needed: ClassVar[tuple[str, ...]] = ("reason",)

    reason: str | None = None
    caller_name: str | None = None


workflow = Workflow(
    name="new_workflow",
    tools=(
        hours.opening_hours,
        outcome.noting(
            CallReason,
            name="note_reason",
            description="Note why the caller calls, in a few of their own words, and their name.",
        ),
        calls.end_call,
    ),
    greeting="Hello, this is {{ business_name }}. How can I help you?",
    outcome=CallReason,
)
