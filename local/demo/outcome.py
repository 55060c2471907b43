"""What the demo's call must have done, and the line that sums it up. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from statistics import median

from pydantic import BaseModel, ConfigDict, JsonValue

from local.caller.measure import Measures
from local.caller.placing import CallResult
from thirdring.calls import EndReason, Role, ToolUse
from thirdring.record import Record

__all__ = ["Delivery", "missing", "summary"]

_LONGEST_SILENCE_SECONDS = 3.0


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


def missing(call: CallResult, deliveries: Sequence[Delivery], *, scripted: bool) -> list[str]:
    """Return what was expected and did not happen, one line each.

    Args:
        scripted: The local model's script answered, so that what it does is known beforehand.
    """
    return [*_missing_in_call(call), *_missing_in_record(deliveries, scripted=scripted)]


def _missing_in_call(call: CallResult) -> Iterator[str]:
    if not call.completed:
        yield f"the caller could not follow its script: {call.problem}"
    measures = call.measures
    if measures.answer_to_first_audio_ms is None:
        yield "the caller never heard the agent"
    silence = measures.longest_silence
    if silence is not None and silence.seconds > _LONGEST_SILENCE_SECONDS:
        yield f"silence of {silence.seconds:.1f} s, {silence.at_s:.1f} s into the call"
    if not any(turn.barge_in_ms is not None for turn in measures.turns):
        yield "the agent did not stop when the caller spoke over it"
    if call.ended_by != "far_end":
        yield "the agent did not hang up after its goodbye"


def _missing_in_record(deliveries: Sequence[Delivery], *, scripted: bool) -> Iterator[str]:
    if len(deliveries) != 1:
        yield f"{len(deliveries)} records reached the webhook instead of one"
    if not deliveries:
        return
    if deliveries[0].verified is not True:
        yield "the record's signature could not be verified"
    yield from _missing_in_call_record(deliveries[0].record)
    if scripted:
        done = {use.name for use in deliveries[0].record.tool_uses if use.error is None}
        for tool in ("opening_hours", "find_slots", "book_appointment", "end_call"):
            if tool not in done:
                yield f"the tool {tool} was not used"
        yield from _untold(deliveries[0].record)


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


def _missing_in_call_record(record: Record) -> Iterator[str]:
    if record.ending.reason is not EndReason.COMPLETED:
        yield f"the record says that the call ended as {record.ending.reason}"
    for role in Role:
        if not any(turn.role is role for turn in record.turns):
            yield f"the record has no turn of the {role}"
    if not any(turn.interrupted for turn in record.turns):
        yield "the record shows no interrupted turn"


def summary(measures: Measures, deliveries: Sequence[Delivery]) -> str:
    """Return one line: how long, how fast, what arrived."""
    replies = [turn.response_ms for turn in measures.turns if turn.response_ms is not None]
    barge_ins = [turn.barge_in_ms for turn in measures.turns if turn.barge_in_ms is not None]
    reply = _milliseconds(median(replies) if replies else None)
    silent = _milliseconds(median(barge_ins) if barge_ins else None)
    parts = [
        f"{measures.duration_s:.0f} s call",
        f"answered after {_milliseconds(measures.invite_to_200_ms)}",
        f"greeted {_milliseconds(measures.answer_to_first_audio_ms)} later",
        f"replies {reply} after the caller's last word",
        f"silent {silent} after being interrupted",
        f"{len(deliveries)} record delivered",
    ]
    return " · ".join(parts)


def _milliseconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} ms"
