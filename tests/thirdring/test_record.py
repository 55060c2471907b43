from __future__ import annotations

import pytest

from tests.samples import at, ended, opened, spoken, used
from thirdring.calls import EndReason, Latency, Role, Usage, ended_by
from thirdring.errors import JournalError
from thirdring.journal import (
    Answered,
    DigitPressed,
    Ended,
    Entry,
    HandedOver,
    LatencyMeasured,
    ModelFault,
    ToolBegun,
    UsageCounted,
    Writer,
    parse_entry,
)
from thirdring.record import Digit, Fault, Record, build, record_id

WHOLE_CALL: tuple[Entry, ...] = (
    opened(),
    Answered(at=at(1)),
    LatencyMeasured(at=at(1), latency=Latency(kind="answer", milliseconds=410)),
    UsageCounted(at=at(2), usage=Usage(model="m", input_tokens=1)),
    spoken(5, role=Role.AGENT),
    spoken(3),
    used(4),
    DigitPressed(at=at(6), digit="1"),
    ModelFault(at=at(7), source="realtime", message="reset", recoverable=True),
    UsageCounted(at=at(8), usage=Usage(model="m", input_tokens=5)),
    ended(9.5),
)


def taken(name: str) -> HandedOver:
    """Return the entry of a job that took a call of this business."""
    return HandedOver(
        at=at(1),
        business=name,
        line="+12025550143",
        workflow=name,
        model="m",
        room="r",
        job="AJ_2",
        writer=Writer(role="job", pid=1),
    )


def test_a_record_holds_the_whole_call() -> None:
    """Everything that the journal tells is in the record, turns by their start."""
    record = build(WHOLE_CALL)
    assert [turn.id for turn in record.turns] == ["t3", "t5"]
    assert [use.id for use in record.tool_uses] == ["u4"]
    assert record.digits == (Digit(digit="1", at=at(6)),)
    assert record.faults == (Fault(source="realtime", message="reset", recoverable=True, at=at(7)),)
    assert record.usage == (Usage(model="m", input_tokens=5),)
    assert [latency.milliseconds for latency in record.latencies] == [410]
    assert (record.opened_at, record.answered_at, record.ended_at) == (at(0), at(1), at(9.5))
    assert record.duration_seconds == 8.5
    assert record.ending.reason is EndReason.CALLER_HUNG_UP
    assert (record.caller_number, record.called_number) == ("+12025550199", "+12025550142")


def test_a_record_survives_json() -> None:
    """The delivered body is the record, and the same bytes each time."""
    body = build(WHOLE_CALL).model_dump_json()
    assert Record.model_validate_json(body) == build(WHOLE_CALL)
    assert build(WHOLE_CALL).model_dump_json() == body


def test_a_call_without_an_ending_was_interrupted() -> None:
    """The last entry is when the call was last known to live."""
    record = build((opened(), Answered(at=at(1)), spoken(2)))
    assert record.ending.reason is EndReason.INTERRUPTED
    assert (record.ended_at, record.duration_seconds) == (at(3), 2.0)


def test_an_interrupted_call_says_who_died() -> None:
    """Of a call that no job took it is not said that its job has died."""
    rings = opened().model_copy(update={"writer": Writer.here("gateway")})
    untaken, had = build((rings,)).ending, build((rings, taken("one"))).ending
    assert untaken.detail == "the gateway died, or its disk failed, before a job had the call"
    assert had.detail == "the job died before the call had ended"


def test_the_job_that_took_the_call_says_what_it_was() -> None:
    """What was known at the INVITE is replaced by what the last job found out."""
    first = opened(business=None).model_copy(update={"line": None, "workflow": None})
    record = build((first, taken("one"), taken("two"), ended(9)))
    assert (record.business, record.workflow, record.model) == ("two", "two", "m")
    assert (record.opened_at, record.caller_number) == (at(0), "+12025550199")


def test_a_tool_that_was_cut_short_is_shown_without_a_result() -> None:
    """The job died while it ran: that it had begun is known, its effect is not."""
    begun = used(2).use.model_copy(update={"result": None, "ended_at": None})
    cut = begun.model_copy(update={"id": "u9", "started_at": at(9)})
    record = build(
        (opened(), ToolBegun(at=at(2), use=begun), used(2), ToolBegun(at=at(9), use=cut))
    )
    assert [(use.id, use.result, use.ended_at) for use in record.tool_uses] == [
        ("u2", "Closed all week.", at(2.1)),
        ("u9", None, None),
    ]


@pytest.mark.parametrize("reason", EndReason)
def test_every_ending_says_whose_it_was(reason: EndReason) -> None:
    """There is no reason without somebody who ended the call."""
    record = build((opened(), ended(5, reason)))
    assert (record.ending.reason, record.ending.by) == (reason, ended_by(reason))


def test_the_limit_had_another_name() -> None:
    """Journals and records of version 1 are read with the name of today."""
    old = ended(5, EndReason.LIMIT_REACHED).model_dump_json().replace("limit_reached", "time_limit")
    entry = parse_entry(old)
    assert isinstance(entry, Ended)
    assert entry.ending.reason is EndReason.LIMIT_REACHED
    with pytest.raises(ValueError, match="reason"):
        parse_entry(old.replace("time_limit", "boredom"))


def test_a_duration_does_not_follow_the_wall_clock() -> None:
    """An hour that was put forward during the call is not in it."""
    over = ended(3 + 3600)
    last = over.ending.model_copy(update={"offset": 3.0})
    record = build(
        (
            opened().model_copy(update={"offset": 0.0}),
            Answered(at=at(1), offset=1.0),
            over.model_copy(update={"offset": 3.25, "ending": last}),
        )
    )
    assert (record.answered_offset, record.ended_offset, record.duration_seconds) == (1, 3, 2)
    assert record.ended_at == at(3603)


def test_the_first_ending_counts() -> None:
    """Entries behind an ending are no part of the call."""
    record = build((opened(), ended(2), spoken(3), ended(9, EndReason.LIMIT_REACHED)))
    assert (record.ended_at, record.turns) == (at(2), ())


def test_a_clock_set_back_makes_no_negative_call() -> None:
    """A duration is never below zero."""
    assert build((opened(), Answered(at=at(60)), ended(5))).duration_seconds == 0


def test_a_call_never_answered_has_no_duration() -> None:
    """Ringing is not talking."""
    record = build((opened(), ended(5, EndReason.ABANDONED)))
    assert (record.answered_at, record.duration_seconds) == (None, 0)


@pytest.mark.parametrize("entries", [(), (spoken(1), ended(2))])
def test_without_an_opening_there_is_no_record(entries: tuple[Entry, ...]) -> None:
    """A journal that does not say which call it is cannot become a record."""
    with pytest.raises(JournalError, match="opened"):
        build(entries)


def test_the_id_belongs_to_the_call() -> None:
    """Receivers know a repetition by it: it must never change."""
    assert str(record_id("call-1")) == "473dc9c4-adfb-5932-aa38-cae4f3c409e4"
    assert record_id("call-1") == build((opened("call-1"),)).id != record_id("call-2")
