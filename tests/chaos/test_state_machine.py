"""Whatever happens in whatever order: every final turn is in exactly one record, delivered or not.

Real journals, a real store, the courier's own collector and deliverer. Only three things are
played: the clock, what the receiver does, and that the courier dies, which is a store that from one
moment on lets nothing in. `THIRDRING_CHAOS_STEPS` says how many steps are made in all.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.peers.counts import tell
from tests.peers.mortal import ANSWERS, Killed, MortalStore, PlayedReceiver
from tests.samples import START, SetClock, business, opened
from tests.samples import settings as configured
from thirdring.calls import Ending, EndReason, Role, ToolUse, Turn
from thirdring.courier.collecting import Collector
from thirdring.courier.delivering import Deliverer
from thirdring.courier.trouble import Trouble
from thirdring.home import Home
from thirdring.journal import Ended, Journal, Ringing, ToolUsed, TurnSpoken
from thirdring.journal.entries import line
from thirdring.record import Record
from thirdring.store.outbox import DeliveryState, Endpoint, Outbox

STEPS = int(os.environ.get("THIRDRING_CHAOS_STEPS") or 300)
_EACH = 50

_WEBHOOK = Endpoint("riverside_clinic", "webhook")
_SETTINGS = configured(business(url="https://clinic.example/hook"))
_ROLES = st.lists(st.sampled_from(Role), min_size=1, max_size=5)


@dataclass
class _Call:
    id: str
    ringing: Ringing | None = None
    journal: Journal | None = None
    turns: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)

    @property
    def lives(self) -> bool:
        return self.ringing is not None or self.journal is not None


class _Calls(RuleBasedStateMachine):
    """One home, its callers, its courier and its receiver."""

    counted: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.home = Home(Path(self.folder.name))
        self.home.journals.mkdir()
        self.runner = asyncio.Runner()
        self.clock = SetClock()
        self.skipped = 0.0
        self.calls: list[_Call] = []
        self.receiver = PlayedReceiver()
        self.alive = False
        self.parked = False
        self.start()

    # The courier

    def start(self) -> None:
        self.runner.run(self._start())
        self.alive = True

    async def _start(self) -> None:
        self.store = self.receiver.store = MortalStore(self.home.store)
        outbox = Outbox(self.store)
        self.deliverer = Deliverer(
            outbox,
            {_WEBHOOK: self.receiver},
            owner=self.home.id,
            clock=self.clock,
            trouble=Trouble("store", "nothing is lost"),
            elapsed=lambda: time.monotonic() + self.skipped,
        )
        await self.deliverer.prepare()

    def courier_does(self, work: Callable[[], Any]) -> None:
        """Let it work; whatever stops it is its death."""

        async def until_it_dies() -> None:
            try:
                await work()
            except* Killed:
                pass
            if self.store.dead:
                await self.store.close()

        self.runner.run(until_it_dies())
        if self.store.dead:
            self.alive = False
            self.counted["deaths of the courier"] += 1

    @rule()
    @precondition(lambda self: not self.alive)
    def restart(self) -> None:
        self.start()

    @rule(fuse=st.none() | st.integers(0, 2), committed=st.booleans())
    @precondition(lambda self: self.alive)
    def collect(self, fuse: int | None, committed: bool) -> None:
        self.store.fuse, self.store.committed = fuse, committed
        # A new one: what it remembers of journals is only when to look at them again.
        collector = Collector(
            self.home, _SETTINGS, Outbox(self.store), self.clock, on_stored=self.deliverer.wake
        )
        self.courier_does(collector.collect)
        self.store.fuse = None

    @rule(
        answers=st.lists(st.sampled_from(sorted(ANSWERS)), max_size=3),
        kill=st.sampled_from([None, None, "before", "after"]),
        fuse=st.none() | st.integers(0, 3),
        committed=st.booleans(),
        collects=st.sampled_from([True, True, False]),
    )
    @precondition(lambda self: self.alive)
    def deliver(
        self,
        answers: list[str],
        kill: str | None,
        fuse: int | None,
        committed: bool,
        collects: bool,
    ) -> None:
        if collects:
            self.collect(None, committed=False)
        self.receiver.answers, self.receiver.kill = answers, kill
        self.store.fuse, self.store.committed = fuse, committed
        before = self.receiver.tries
        self.courier_does(self.deliverer.run_once)
        self.counted["attempts"] += self.receiver.tries - before
        self.store.fuse, self.receiver.kill, self.receiver.answers = None, None, []

    @rule(seconds=st.sampled_from([1, 6, 400, 3 * 3600, 30 * 3600]))
    def wait(self, seconds: int) -> None:
        self.clock.moment += timedelta(seconds=seconds)
        self.skipped += seconds

    @rule()
    @precondition(lambda self: self.alive)
    def unpark(self) -> None:
        self.courier_does(lambda: Outbox(self.store).unpark(_WEBHOOK, self.clock.now()))

    # Calls

    @rule(rings=st.booleans(), roles=_ROLES, reason=st.none() | st.sampled_from(EndReason))
    @precondition(lambda self: sum(call.lives for call in self.calls) < 4)
    def begin(self, rings: bool, roles: list[Role], reason: EndReason | None) -> None:
        call = _Call(f"call-{len(self.calls)}")
        first = opened(call.id)
        if rings:
            call.ringing = Ringing.open(self.home.journals, first)
        else:
            call.journal = self.runner.run(_made(self.home.journals, call))
            self._say(call, roles)
        self.calls.append(call)
        self.counted["calls"] += 1
        if reason is not None:
            self._end(call, reason)

    @rule(which=st.integers(0, 3), roles=_ROLES)
    @precondition(lambda self: any(call.ringing for call in self.calls))
    def answer(self, which: int, roles: list[Role]) -> None:
        call = _one([call for call in self.calls if call.ringing], which)
        call.journal = self.runner.run(_made(self.home.journals, call))
        assert call.ringing is not None
        call.ringing.release()
        call.ringing = None
        self._say(call, roles)

    @rule(which=st.integers(0, 3), roles=_ROLES)
    @precondition(lambda self: any(call.journal for call in self.calls))
    def turns(self, which: int, roles: list[Role]) -> None:
        self._say(_one([call for call in self.calls if call.journal], which), roles)

    def _say(self, call: _Call, roles: list[Role]) -> None:
        for role in roles:
            self.runner.run(self._written(call, _turn(call, role)))
            call.turns.append(f"{call.id} turn {len(call.turns)}")
            self.counted["turns"] += 1

    @rule(which=st.integers(0, 3))
    @precondition(lambda self: any(call.journal for call in self.calls))
    def tool(self, which: int) -> None:
        call = _one([call for call in self.calls if call.journal], which)
        self.runner.run(self._written(call, _tool(call)))
        call.tools.append(f"tool-{len(call.tools)}")
        self.counted["tools"] += 1

    async def _written(self, call: _Call, entry: TurnSpoken | ToolUsed) -> None:
        assert call.journal is not None
        call.journal.append(entry)
        await call.journal.flush()

    @rule(which=st.integers(0, 3), reason=st.sampled_from(list(EndReason)))
    @precondition(lambda self: any(call.lives for call in self.calls))
    def end(self, which: int, reason: EndReason) -> None:
        self._end(_one([call for call in self.calls if call.lives], which), reason)

    def _end(self, call: _Call, reason: EndReason) -> None:
        ending = Ending(reason=reason, at=self.clock.now())
        if call.journal is not None:
            call.journal.append(Ended(at=ending.at, ending=ending))
            self.runner.run(call.journal.close())
            call.journal = None
        elif call.ringing is not None:
            call.ringing.end(ending)
            call.ringing = None

    @rule(which=st.integers(0, 3), torn=st.none() | st.integers(0, 400))
    @precondition(lambda self: any(call.lives for call in self.calls))
    def kill(self, which: int, torn: int | None) -> None:
        """Kill who has the call; perhaps in the middle of writing what is not final yet."""
        call = _one([call for call in self.calls if call.lives], which)
        self.counted["kills of who had a call"] += 1
        if call.journal is not None:
            path, journal = call.journal.path, call.journal
            call.journal = None
            if torn is not None:
                unwritten = line(_turn(call, Role.CALLER))
                with path.open("ab") as file:
                    file.write(unwritten[: min(torn, len(unwritten) - 2)])
            self.runner.run(journal.close())
        if call.ringing is not None:
            call.ringing.leave()
            call.ringing = None

    # What must hold

    @invariant()
    def every_body_is_the_same(self) -> None:
        self.counted["steps"] += 1
        for digest in self.receiver.bodies.values():
            assert len(digest) == 1, "one record, two bodies"

    def teardown(self) -> None:
        try:
            self._settle()
            self._judge(self.runner.run(self._stored()))
            self._deliver_all()
            self._judge_delivered(self.runner.run(self._stored()))
        finally:
            self.runner.run(self.store.close())
            self.runner.close()
            self.folder.cleanup()

    def _settle(self) -> None:
        for _ in range(len([call for call in self.calls if call.lives])):
            self.kill(0, None)
        if not self.alive:
            self.start()
        else:
            self.runner.run(self.store.close())
            self.start()
        self.collect(None, committed=False)

    async def _stored(self) -> dict[str, tuple[Record, dict[str, DeliveryState]]]:
        outbox, found = Outbox(self.store), {}
        for call in self.calls:
            body, states = await outbox.record(call.id), await outbox.states(call.id)
            assert body is not None, f"{call.id}: no record"
            found[call.id] = Record.model_validate_json(body), states or {}
            for sent in self.receiver.bodies.get(str(found[call.id][0].id), ()):
                assert sent == body, "what was sent is not what is stored"
        return found

    def _judge(self, stored: dict[str, tuple[Record, dict[str, DeliveryState]]]) -> None:
        assert not list(self.home.journals.glob("*.jsonl"))
        for call in self.calls:
            record, states = stored[call.id]
            assert [turn.text for turn in record.turns] == call.turns
            assert [use.id for use in record.tool_uses] == call.tools
            assert set(states) == {"webhook"}
            sent = str(record.id) in self.receiver.bodies
            assert sent or states["webhook"] is not DeliveryState.DELIVERED
        self.counted["turns that were judged"] += sum(len(call.turns) for call in self.calls)
        for _, states in stored.values():
            self.counted[f"records {states['webhook']} at first"] += 1

    def _deliver_all(self) -> None:
        """Let the receiver take everything, and the longest wait of the schedule pass."""
        self.unpark()
        self.wait(30 * 3600)
        self.runner.run(self.deliverer.run_once())

    def _judge_delivered(self, stored: dict[str, tuple[Record, dict[str, DeliveryState]]]) -> None:
        for record, states in stored.values():
            assert states["webhook"] in {DeliveryState.DELIVERED, DeliveryState.DEAD}
            if states["webhook"] is DeliveryState.DELIVERED:
                assert len(self.receiver.bodies[str(record.id)]) == 1
            self.counted[f"records {states['webhook']} in the end"] += 1


async def _made(folder: Path, call: _Call) -> Journal:
    return Journal.take(folder, opened(call.id))


def _turn(call: _Call, role: Role) -> TurnSpoken:
    number = len(call.turns)
    at = START + timedelta(seconds=number)
    said = f"{call.id} turn {number}"
    turn = Turn(id=f"item_{number}", role=role, text=said, started_at=at, ended_at=at)
    return TurnSpoken(at=at, turn=turn)


def _tool(call: _Call) -> ToolUsed:
    number = len(call.tools)
    at = START + timedelta(seconds=number)
    use = ToolUse(id=f"tool-{number}", name="find_slots", arguments={}, started_at=at, ended_at=at)
    return ToolUsed(at=at, use=use)


def _one(calls: list[_Call], which: int) -> _Call:
    return calls[which % len(calls)]


@pytest.mark.timeout(1800)
def test_every_final_turn_is_in_exactly_one_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Killed, refused, delayed, restarted in any order: nothing is lost, nothing is there twice."""
    _Calls.counted.clear()
    run_state_machine_as_test(
        _Calls,
        settings=settings(
            max_examples=max(1, STEPS // 20),
            stateful_step_count=_EACH,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    counted = ", ".join(f"{count} {what}" for what, count in sorted(_Calls.counted.items()))
    tell(capsys, f"state machine: 0 final turns lost or twice; {counted}")
    assert _Calls.counted["turns that were judged"] > 0
    assert _Calls.counted["attempts"] > 0
