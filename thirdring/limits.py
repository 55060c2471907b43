"""How much one call may take: the line decides, then its business, then the workflow."""

from __future__ import annotations

from thirdring.settings import Business, Line
from thirdring.workflow import Workflow

__all__ = ["call_minutes", "reply_tokens"]


def call_minutes(line: Line, workflow: Workflow, business: Business) -> int:
    """Return the longest call on a line."""
    own, common = line.limits.call_minutes, business.limits.call_minutes
    return own or common or workflow.time_limit_minutes


def reply_tokens(line: Line, workflow: Workflow, business: Business) -> int | None:
    """Return the longest reply on a line, in tokens of the model; None for no cap."""
    own, common = line.limits.reply_tokens, business.limits.reply_tokens
    return own or common or workflow.reply_tokens
