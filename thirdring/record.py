"""The final document of one call: what its business receives, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Literal
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from thirdring.calls import (
    EndedBy,
    EndReason,
    Latency,
    LegKind,
    PhoneNumber,
    Summary,
    ToolUse,
    Turn,
    Usage,
    ended_by,
)
from thirdring.errors import JournalError
from thirdring.journal import (
    Answered,
    DigitPressed,
    Ended,
    Entry,
    HandedOver,
    LatencyMeasured,
    ModelFault,
    Opened,
    OutcomeNoted,
    ToolBegun,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
)

__all__ = [
    "Digit",
    "Fault",
    "Record",
    "RecordEnding",
    "RecordOutcome",
    "build",
    "record_id",
]

_NAMESPACE = UUID("6f2d3b0a-52c5-4a4e-9d0e-0f4b3c2f7a11")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RecordEnding(_Part):
    """Why the call ended; `detail` is one line for people.

    Attributes:
        by: Who ended it; None in records of version 1.
    """

    reason: EndReason
    by: EndedBy | None = None
    detail: str | None = None


class Digit(_Part):
    """A key that the caller pressed."""

    digit: str
    at: AwareDatetime
    offset: float | None = None


class Fault(_Part):
    """Something that went wrong with the model; the call may have gone on."""

    source: str
    message: str
    recoverable: bool
    at: AwareDatetime
    offset: float | None = None


class RecordOutcome(_Part):
    """What the call left behind, as its workflow defines it.

    Attributes:
        complete: Whether nothing is missing that the workflow needs.
        summary: What staff are told of it.
    """

    value: dict[str, JsonValue]
    complete: bool
    missing: tuple[str, ...] = ()
    summary: Summary | None = None


class Record(_Part):
    """One call, whole.

    Attributes:
        id: Made of the call id alone, hence the same however often it is built; the idempotency
            key of its delivery.
        business: Its slug; None when no line has the number that was dialled.
        line: The number of the line.
        answered_at: None when the call never was.
        answered_offset, ended_offset: Seconds after the call was opened, which no change of the
            wall clock moves, as all offsets are; None in records of version 1.
        duration_seconds: From the answer to the end.
        turns: Sorted by their start, as are tool uses. A use without an end was cut short: whether
            it had its effect is not known.
        usage: One total per model.
        outcome: None when the workflow leaves none, or nothing was learned.
    """

    version: Literal[1, 2] = 2
    id: UUID
    call_id: str
    sip_call_id: str | None
    kind: LegKind
    business: str | None
    line: str | None
    workflow: str | None
    model: str | None
    caller_number: PhoneNumber | None
    called_number: PhoneNumber | None
    opened_at: AwareDatetime
    answered_at: AwareDatetime | None
    answered_offset: float | None = None
    ended_at: AwareDatetime
    ended_offset: float | None = None
    duration_seconds: float
    ending: RecordEnding
    turns: tuple[Turn, ...]
    tool_uses: tuple[ToolUse, ...]
    digits: tuple[Digit, ...]
    latencies: tuple[Latency, ...]
    usage: tuple[Usage, ...]
    faults: tuple[Fault, ...]
    outcome: RecordOutcome | None = None


def record_id(call_id: str) -> UUID:
    """Return the id that a call's record has, now and at every retry."""
    return uuid5(_NAMESPACE, call_id)


def build(entries: Sequence[Entry]) -> Record:
    """Return the record of the call that a journal tells of; the same for the same journal.

    Raises:
        JournalError: The entries do not begin with `Opened`.
    """
    if not entries or not isinstance(entries[0], Opened):
        raise JournalError("the journal does not begin with an `opened` entry")
    opened = entries[0]
    entries = _up_to_the_ending(entries)
    route = next((e for e in reversed(entries) if isinstance(e, HandedOver)), opened)
    answered = next((entry for entry in entries if isinstance(entry, Answered)), None)
    ended_at, ended_offset, ending = _ending(opened, entries)
    turns = [entry.turn for entry in entries if isinstance(entry, TurnSpoken)]
    totals = {e.usage.model: e.usage for e in entries if isinstance(e, UsageCounted)}
    return Record(
        id=record_id(opened.leg.call_id),
        call_id=opened.leg.call_id,
        sip_call_id=opened.leg.sip_call_id,
        kind=opened.leg.kind,
        business=route.business,
        line=route.line,
        workflow=route.workflow,
        model=route.model,
        caller_number=opened.leg.caller,
        called_number=opened.leg.called,
        opened_at=opened.at,
        answered_at=answered and answered.at,
        answered_offset=answered and answered.offset,
        ended_at=ended_at,
        ended_offset=ended_offset,
        duration_seconds=_duration(answered, ended_at, ended_offset),
        ending=ending,
        turns=tuple(sorted(turns, key=attrgetter("started_at"))),
        tool_uses=_tool_uses(entries),
        digits=tuple(
            Digit(digit=e.digit, at=e.at, offset=e.offset)
            for e in entries
            if isinstance(e, DigitPressed)
        ),
        latencies=tuple(e.latency for e in entries if isinstance(e, LatencyMeasured)),
        usage=tuple(totals[model] for model in sorted(totals)),
        faults=tuple(
            Fault(
                source=e.source,
                message=e.message,
                recoverable=e.recoverable,
                at=e.at,
                offset=e.offset,
            )
            for e in entries
            if isinstance(e, ModelFault)
        ),
        outcome=_outcome(entries),
    )


def _outcome(entries: Sequence[Entry]) -> RecordOutcome | None:
    for entry in reversed(entries):
        if isinstance(entry, OutcomeNoted):
            return RecordOutcome(
                value=entry.outcome,
                complete=not entry.missing,
                missing=entry.missing,
                summary=entry.summary,
            )
    return None


def _tool_uses(entries: Sequence[Entry]) -> tuple[ToolUse, ...]:
    # What is known last of a use counts.
    uses = {e.use.id: e.use for e in entries if isinstance(e, ToolBegun | ToolUsed)}
    return tuple(sorted(uses.values(), key=attrgetter("started_at")))


def _duration(answered: Answered | None, ended_at: datetime, ended_offset: float | None) -> float:
    if answered is None:
        return 0.0
    if answered.offset is not None and ended_offset is not None:
        seconds = ended_offset - answered.offset
    else:
        seconds = (ended_at - answered.at).total_seconds()
    # A clock that was set back during the call must not make it negative.
    return round(max(0.0, seconds), 3)


def _up_to_the_ending(entries: Sequence[Entry]) -> Sequence[Entry]:
    for index, entry in enumerate(entries):
        if isinstance(entry, Ended):
            return entries[: index + 1]
    return entries


def _ending(
    opened: Opened, entries: Sequence[Entry]
) -> tuple[datetime, float | None, RecordEnding]:
    """Return when a call ended, by both clocks, and why; without an `Ended` somebody has died."""
    last = entries[-1]
    if isinstance(last, Ended):
        ending = last.ending
        told = RecordEnding(reason=ending.reason, by=ended_by(ending.reason), detail=ending.detail)
        return ending.at, ending.offset, told
    detail = "the job died before the call had ended"
    writer = opened.writer
    taken = any(isinstance(entry, HandedOver) for entry in entries)
    if writer is not None and writer.role != "job" and not taken:
        detail = f"the {writer.role} died, or its disk failed, before a job had the call"
    interrupted = RecordEnding(
        reason=EndReason.INTERRUPTED,
        by=ended_by(EndReason.INTERRUPTED),
        detail=detail,
    )
    return last.at, last.offset, interrupted
