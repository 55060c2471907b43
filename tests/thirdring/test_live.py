"""One call while it lasts: the first ending counts, and every ending leaves a whole journal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from tests.samples import SetClock, opened
from thirdring import journal
from thirdring.calls import EndReason
from thirdring.fixed_lines import FixedLine
from thirdring.journal import Answered, DigitPressed, Ended, Entry, Journal, LatencyMeasured
from thirdring.live import LiveCall
from thirdring.watching import Happening, HasEnded, IsRefused

OURS = {
    EndReason.COMPLETED,
    EndReason.AGENT_HUNG_UP,
    EndReason.REFUSED,
    EndReason.NOT_IN_SERVICE,
    EndReason.MODEL_FAILED,
    EndReason.LIMIT_REACHED,
}


@dataclass
class Nobody:
    """A far end at which nobody is, and what it was asked for, in that order."""

    shown: list[Happening] = field(default_factory=list)
    hung_up: list[None] = field(default_factory=list)
    closed: list[None] = field(default_factory=list)

    async def play(self, line: FixedLine) -> None:
        raise ConnectionError(f"nobody hears: {line}")

    def show(self, happening: Happening) -> None:
        assert not self.hung_up, "whoever has hung up sees nothing"
        self.shown.append(happening)

    def hang_up(self) -> None:
        self.hung_up.append(None)

    async def close(self) -> None:
        self.closed.append(None)


@dataclass
class OpenCall:
    """A call with a real journal, and what it asked for."""

    live: LiveCall
    clock: SetClock
    far_end: Nobody
    over: list[str] = field(default_factory=list)

    async def entries(self) -> list[Entry]:
        """End the job and return the journal after its first entry."""
        await self.live.finish()
        assert not journal.is_owned(self.live.journal.path)
        return list(journal.read(self.live.journal.path).entries)[1:]


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[OpenCall]:
    """Return a call that was opened just now; nobody is in its room."""
    clock, far_end, over = SetClock(), Nobody(), list[str]()
    live = LiveCall(Journal.create(tmp_path, opened()), far_end, clock, over=over.append)
    yield OpenCall(live, clock, far_end, over)
    await live.journal.close()


def pass_time(call: OpenCall, seconds: float) -> None:
    call.clock.moment += timedelta(seconds=seconds)


async def test_the_first_ending_wins(call: OpenCall) -> None:
    """What comes after it changes neither reason nor time, and nobody is told twice."""
    first = call.clock.now()
    call.live.end(EndReason.AGENT_HUNG_UP, "said goodbye")
    pass_time(call, 1)
    for later in EndReason:
        call.live.end(later, "too late")
    (ended,) = await call.entries()
    assert isinstance(ended, Ended)
    assert (ended.ending.reason, ended.ending.detail) == (EndReason.AGENT_HUNG_UP, "said goodbye")
    assert ended.ending.at == first
    assert (len(call.far_end.hung_up), call.over) == (1, ["agent_hung_up"])


@pytest.mark.parametrize("reason", EndReason)
async def test_we_hang_up_when_the_ending_is_ours(call: OpenCall, reason: EndReason) -> None:
    """A caller who has gone needs no hang-up; everybody else gets exactly one."""
    call.live.end(reason)
    assert len(call.far_end.hung_up) == (reason in OURS)
    assert call.over == [reason]


async def test_a_call_that_nobody_ended_was_stopped(call: OpenCall) -> None:
    """A job that goes away writes an ending all the same."""
    (ended,) = await call.entries()
    assert isinstance(ended, Ended)
    assert ended.ending.reason is EndReason.WORKER_STOPPED


async def test_a_refusal_that_cannot_be_played_ends_the_call(call: OpenCall) -> None:
    """The room may be gone already: there is an ending, and its detail."""
    await call.live.refuse(FixedLine.NOT_IN_SERVICE, EndReason.NOT_IN_SERVICE, "no such line")
    (ended,) = await call.entries()
    assert isinstance(ended, Ended)
    assert ended.ending.detail == "no such line"
    assert len(call.far_end.hung_up) == 1


async def test_who_watches_is_shown_the_refusal_and_the_ending_once(call: OpenCall) -> None:
    """Both before the line closes, and the far end is closed with the call."""
    await call.live.refuse(FixedLine.NOT_IN_SERVICE, EndReason.NOT_IN_SERVICE, "no such line")
    call.live.end(EndReason.CALLER_HUNG_UP)
    await call.entries()
    assert call.far_end.shown == [
        IsRefused(reason="not_in_service", message="no such line"),
        HasEnded(reason="not_in_service", detail="no such line"),
    ]
    assert len(call.far_end.closed) == 1


async def test_waits_and_keys_are_written_as_they_happen(call: OpenCall) -> None:
    """The answer is measured from the opening on."""
    pass_time(call, 0.25)
    call.live.ready()
    call.live.answered()
    call.live.digit("#")
    ready, answered, digit, _ = await call.entries()
    assert isinstance(ready, LatencyMeasured)
    assert (ready.latency.kind, ready.latency.milliseconds) == ("answer", 250)
    assert isinstance(answered, Answered)
    assert isinstance(digit, DigitPressed)


async def test_a_clock_that_is_set_back_measures_nothing(call: OpenCall) -> None:
    """A wait is never negative."""
    pass_time(call, -5)
    call.live.ready()
    ready, _ = await call.entries()
    assert isinstance(ready, LatencyMeasured)
    assert ready.latency.milliseconds == 0


async def test_nothing_is_written_after_the_ending(call: OpenCall) -> None:
    """The ending is the last line of every journal."""
    await call.live.finish()
    call.live.digit("1")
    entries = journal.read(call.live.journal.path).entries
    assert [entry.kind for entry in entries] == ["opened", "ended"]


async def test_what_the_call_opened_is_closed_with_it(call: OpenCall) -> None:
    """Stores and connections go with the call."""
    closed: list[str] = []
    call.live.resources.callback(closed.append, "store")
    await call.entries()
    assert closed == ["store"]


async def test_what_cannot_be_closed_leaves_no_room_behind(call: OpenCall) -> None:
    """A store that has gone away is no reason to leave the caller's room standing."""

    def fail() -> None:
        raise ConnectionResetError("the store has gone")

    call.live.resources.callback(fail)
    await call.live.finish()
    assert call.far_end.closed == [None]
