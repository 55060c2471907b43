"""What the demo's call must have done, and the line that sums it up. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue

from local.caller.measure import Measures
from local.caller.placing import CallResult
from local.demo.plan import DemoExpected, Plan
from local.scenarios import Row
from local.simulate.aftermath import unmet_outcome, unmet_rows
from thirdring.calls import EndReason, Role, ToolUse
from thirdring.record import Record

__all__ = ["Delivery", "missing", "summary"]

_ENDINGS: Final = {"agent": EndReason.COMPLETED, "caller": EndReason.CALLER_HUNG_UP}


class Delivery(BaseModel):
    """One line of `webhook.jsonl`: what the receiver got, and whether its signature was right."""

    model_config = ConfigDict(frozen=True)

    verified: bool | None
    body: JsonValue

    @property
    def record(self) -> Record:
        """The record that was delivered."""
        body = self.body if isinstance(self.body, str) else json.dumps(self.body)
        return Record.model_validate_json(body)


def missing(
    call: CallResult,
    deliveries: Sequence[Delivery],
    plan: Plan,
    rows: Mapping[str, Sequence[Row]] | None,
) -> list[str]:
    """Return what was expected and did not happen, one line each.

    Args:
        rows: What the call has put into the store; None when another brain than the local model's
            script has answered, so that what it does is not known beforehand.
    """
    lines = [*_missing_in_call(call, plan), *_missing_in_record(deliveries, plan)]
    if rows is not None and deliveries:
        lines += _missing_deeds(deliveries[0].record, plan.expect)
        lines += _untold(deliveries[0].record)
        lines += unmet_rows(plan.expect, rows)
    return lines


def _missing_in_call(call: CallResult, plan: Plan) -> Iterator[str]:
    if not call.completed:
        yield f"the caller could not follow its script: {call.problem}"
    measures = call.measures
    if measures.answer_to_first_audio_ms is None:
        yield "the caller never heard the agent"
    silence = measures.longest_silence
    if silence is not None and silence.seconds > plan.expect.longest_silence_s:
        yield f"silence of {silence.seconds:.1f} s, {silence.at_s:.1f} s into the call"
    if plan.interrupts and not any(turn.barge_in_ms is not None for turn in measures.turns):
        yield "the agent did not stop when the caller spoke over it"
    if plan.expect.hangs_up == "agent" and call.ended_by != "far_end":
        yield "the agent did not hang up after its goodbye"


def _missing_in_record(deliveries: Sequence[Delivery], plan: Plan) -> Iterator[str]:
    if len(deliveries) != 1:
        yield f"{len(deliveries)} records reached the webhook instead of one"
    if not deliveries:
        return
    if deliveries[0].verified is not True:
        yield "the record's signature could not be verified"
    record = deliveries[0].record
    if record.ending.reason is not _ENDINGS[plan.expect.hangs_up]:
        yield f"the record says that the call ended as {record.ending.reason}"
    for role in Role:
        if not any(turn.role is role for turn in record.turns):
            yield f"the record has no turn of the {role}"
    if plan.interrupts and not any(turn.interrupted for turn in record.turns):
        yield "the record shows no interrupted turn"


def _missing_deeds(record: Record, expect: DemoExpected) -> Iterator[str]:
    done = {use.name for use in record.tool_uses if use.error is None}
    for tool in expect.tools:
        if tool not in done:
            yield f"the tool {tool} was not used"
    if expect.outcome is not None:
        yield from unmet_outcome(expect.outcome, record.outcome)


def _untold(record: Record) -> Iterator[str]:
    """Name what the agent found out or did, but did not say to its end."""
    said = [turn.text for turn in record.turns if turn.role is Role.AGENT]
    for use in record.tool_uses:
        due = _to_tell(use)
        if due is not None and not any(due in text for text in said):
            yield f"the agent did not say what {use.name} returned: {due}"


def _to_tell(use: ToolUse) -> str | None:
    if use.name == "opening_hours":
        return use.result
    if use.name != "book_appointment" or use.result is None:
        return None
    booking = json.loads(use.result)
    return str(booking["reference"])


def summary(measures: Measures, deliveries: Sequence[Delivery]) -> str:
    """Return one line: how long, how fast, what arrived."""
    replies = [turn.response_ms for turn in measures.turns if turn.response_ms is not None]
    barge_ins = [turn.barge_in_ms for turn in measures.turns if turn.barge_in_ms is not None]
    reply = _milliseconds(median(replies) if replies else None)
    silent = _milliseconds(median(barge_ins) if barge_ins else None)
    interrupts = any(turn.interrupted_agent for turn in measures.turns)
    parts = [
        f"{measures.duration_s:.0f} s call",
        f"answered after {_milliseconds(measures.invite_to_200_ms)}",
        f"greeted {_milliseconds(measures.answer_to_first_audio_ms)} later",
        f"replies {reply} after the caller's last word",
        *([f"silent {silent} after being interrupted"] if interrupts else []),
        f"{len(deliveries)} record delivered",
    ]
    return " · ".join(parts)


def _milliseconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} ms"
