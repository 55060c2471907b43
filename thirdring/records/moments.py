"""What happened in a call, in order, for all the ways to show it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from statistics import median

from thirdring.calls import Role, ToolUse, Turn
from thirdring.record import Record

__all__ = ["Lane", "Moment", "clock", "facts", "moments", "when"]


class Lane(StrEnum):
    """What a moment is about."""

    CALLER = "caller"
    AGENT = "agent"
    TOOL = "tool"
    KEYS = "keys"
    FAULT = "fault"


@dataclass(frozen=True)
class Moment:
    """One thing that happened; its text is that of strangers.

    Attributes:
        start: Seconds after the call was opened.
        end: Never before `start`.
        note: What is to be known of it; empty for most.
    """

    start: float
    end: float
    lane: Lane
    text: str
    note: str = ""


def moments(record: Record) -> list[Moment]:
    """Return turns, tool uses, keys and faults in the order in which they began."""
    return sorted(_moments(record), key=lambda moment: moment.start)


def facts(record: Record) -> list[tuple[str, str]]:
    """Return name and value of what is known of the whole call, for people."""
    by = f" (by the {record.ending.by})" if record.ending.by else ""
    detail = f": {record.ending.detail}" if record.ending.detail else ""
    answered = (
        "never"
        if record.answered_at is None
        else f"after {(record.answered_at - record.opened_at).total_seconds():.1f} s"
    )
    found = [
        ("call", record.call_id),
        ("record", str(record.id)),
        ("business", record.business or "none has the number"),
        ("line", _listed(record.line, record.workflow, record.model)),
        ("caller", _numbers(record)),
        ("opened", f"{when(record.opened_at)} UTC, by {record.kind}"),
        ("answered", answered),
        ("ended", f"{when(record.ended_at)} UTC, {clock(record.duration_seconds)} after the answer")
        if record.answered_at
        else ("ended", f"{when(record.ended_at)} UTC"),
        ("ending", f"{record.ending.reason}{by}{detail}"),
        ("waits", _waits(record)),
        ("usage", _usage(record)),
    ]
    return [(name, value) for name, value in found if value]


def _numbers(record: Record) -> str:
    """Return who called which number; nothing where nobody could have dialled one."""
    if record.kind != "sip" and not (record.caller_number or record.called_number):
        return ""
    return f"{record.caller_number or 'hidden'} to {record.called_number or 'no number'}"


def when(moment: datetime) -> str:
    """Return a time as people read it, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def clock(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _moments(record: Record) -> Iterator[Moment]:
    def after(at: datetime, offset: float | None = None) -> float:
        # Records of version 1 have no offsets; a clock that was set back must not go below zero.
        return max(0.0, (at - record.opened_at).total_seconds() if offset is None else offset)

    for turn in record.turns:
        start = after(turn.started_at, turn.started_offset)
        end = max(start, after(turn.ended_at, turn.ended_offset))
        yield Moment(start, end, _lane(turn), turn.text, "interrupted" if turn.interrupted else "")
    for use in record.tool_uses:
        start = after(use.started_at, use.started_offset)
        ended = use.ended_at
        end = start if ended is None else max(start, after(ended, use.ended_offset))
        yield Moment(start, end, Lane.TOOL, _told(use), _took(use, end - start))
    for digit in record.digits:
        at = after(digit.at, digit.offset)
        yield Moment(at, at, Lane.KEYS, digit.digit)
    for fault in record.faults:
        at = after(fault.at, fault.offset)
        note = "the call went on" if fault.recoverable else "for good"
        yield Moment(at, at, Lane.FAULT, f"{fault.source}: {fault.message}", note)


def _lane(turn: Turn) -> Lane:
    return Lane.CALLER if turn.role is Role.CALLER else Lane.AGENT


def _told(use: ToolUse) -> str:
    arguments = use.arguments if isinstance(use.arguments, dict) else {"": use.arguments}
    named = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False)}".removeprefix("=")
        for name, value in arguments.items()
    )
    called = f"{use.name}({named})"
    if use.ended_at is None:
        return called
    outcome = use.result if use.error is None else f"refused: {use.error}"
    return f"{called} → {'nothing' if outcome is None else outcome}"


def _took(use: ToolUse, seconds: float) -> str:
    return "not finished" if use.ended_at is None else f"{seconds:.1f} s"


def _listed(*values: str | None) -> str:
    return ", ".join(value for value in values if value)


def _waits(record: Record) -> str:
    of = {
        kind: [each.milliseconds for each in record.latencies if each.kind == kind]
        for kind in ("answer", "greeting", "reply")
    }
    return _listed(
        f"{of['answer'][0]:.0f} ms until the agent was ready" if of["answer"] else None,
        f"greeted {of['greeting'][0]:.0f} ms after the answer" if of["greeting"] else None,
        f"replied after {median(of['reply']):.0f} ms (median of {len(of['reply'])},"
        f" longest {max(of['reply']):.0f} ms)"
        if of["reply"]
        else None,
    )


def _usage(record: Record) -> str:
    return "; ".join(
        f"{each.model}: {each.input_tokens} tokens in, {each.output_tokens} out"
        if not each.transcribed_seconds
        else f"{each.model}: {each.transcribed_seconds:.0f} s written down"
        for each in record.usage
    )
