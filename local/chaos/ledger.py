"""The ledger of a run: calls made against records received, turns said against turns recorded.

Pure: what callers, model, supervisor and receiver have each written down for themselves goes in,
and what does not balance comes out.

A turn counts as final from the moment at which the job had read its transcript off its connection
to the model (caller) or at which its audio must have been played out (agent: `PLAYED_OUT` after its
length, or half as long again as the slowest answer of the run took). It has to be in the record
when that is more than `DURABLE` before whatever cut the call off. Only an agent's turn that nobody
spoke into is counted: of another one only what was heard is recorded.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from thirdring.calls import Role
from thirdring.journal import file_name
from thirdring.record import Record

__all__ = [
    "Balance",
    "Call",
    "Door",
    "Kill",
    "Received",
    "Said",
    "Target",
    "balance",
    "due_turns",
    "read_said",
]

DURABLE = 0.05
PLAYED_OUT = 1.0
UNBORN = 0.5
"""Seconds of a gateway's life that a call may need until it is on disk: baresip has sent 180 by
then, so a caller cannot tell a call that was taken from one that nearly was."""

TELLS, UNHEARD = 16.0, 10.0
"""So many seconds livekit-server tries to tell the courier of a call that no job took (at 0, 1, 3,
7 and 15 s); when there was no courier for this many of them it may have missed them all."""

Door = Literal["room", "sip", "spoken"]
Target = Literal["job", "worker", "courier", "gateway", "all"]


@dataclass(frozen=True)
class Call:
    """One call as its caller knows it; times in seconds since the epoch.

    Attributes:
        rang: Somebody took it: a provisional answer or a place in the room.
    """

    caller: str
    door: Door
    begun_at: float
    answered_at: float | None
    over_at: float
    rang: bool


@dataclass(frozen=True)
class Kill:
    """One SIGKILL, or several at once.

    Attributes:
        journals: Names of the files that a killed job held open.
        when: Of the courier: in which phase of a POST; empty for any moment.
        processes: How many got the signal.
    """

    target: Target
    at: float
    journals: frozenset[str] = frozenset()
    when: str = ""
    processes: int = 1


@dataclass(frozen=True)
class Said:
    """A line of the model's log: a final turn, an answer that was cut off, or a caller's onset.

    Attributes:
        at: When it had been sent.
        taken_at: Of a caller's turn: when the job had read it; None when it never did.
    """

    caller: str
    kind: Literal["caller", "agent", "cut", "speaks"]
    text: str
    at: float
    seconds: float = 0.0
    taken_at: float | None = None


@dataclass(frozen=True)
class Received:
    """One POST whose body came whole; `verified` by the reference verifier."""

    id: str
    body: bytes
    verified: bool
    at: float = 0.0


@dataclass(frozen=True)
class Row:
    """How the calls fared that one kind of kill hit."""

    kills: int = 0
    hit: int = 0
    recorded: int = 0
    due: int = 0
    missing: int = 0


@dataclass
class Balance:
    """What was counted, and every line that does not balance.

    Attributes:
        due: Turns that had to be recorded.
        untaken: Of the callers' turns those that had been sent in time, but not read by the job.
        played_out: Seconds after its audio at which an answer was taken for played out.
        kills: Processes that got SIGKILL.
        phases: When those of the courier came: with the head of a POST, its body, its answer.
        unborn: Calls that the gateway's death met before they could be on disk.
        unheard: Calls in a room that no job took, of which livekit-server had given up telling.
        problems: Empty when it balances.
    """

    calls: int = 0
    records: int = 0
    lost: int = 0
    unborn: int = 0
    unheard: int = 0
    said: int = 0
    due: int = 0
    untaken: int = 0
    recorded: int = 0
    missing: int = 0
    invented: int = 0
    deliveries: int = 0
    repeated: int = 0
    different: int = 0
    unverified: int = 0
    played_out: float = PLAYED_OUT
    kills: int = 0
    phases: dict[str, int] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_said(path: Path) -> list[Said]:
    """Return the model's log, with each turn when it was taken."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in lines:
        if line["kind"] == "taken":
            taken[line["caller"], line["text"]].append(line["at"])
    found = []
    for line in lines:
        if line["kind"] == "caller" and (times := taken[line["caller"], line["text"]]):
            line["taken_at"] = times.pop(0)
        if line["kind"] != "taken":
            found.append(Said(**line))
    return found


def balance(
    calls: Sequence[Call],
    kills: Sequence[Kill],
    said: Iterable[Said],
    received: Sequence[Received],
    outages: Sequence[tuple[float, float]] = (),
) -> Balance:
    """Return the balance of a run.

    Args:
        outages: From when until when there was no courier.
    """
    result = Balance(kills=sum(kill.processes for kill in kills), deliveries=len(received))
    courier = (kill.when or "any moment" for kill in kills if kill.target == "courier")
    result.phases = dict(Counter(courier))
    records = _records(received, result)
    by_caller: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_caller[record.caller_number or ""].append(record)
    lines: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        lines[one.caller].append(one)
    result.played_out = _played_out(records, lines)
    fates: dict[str, list[_Fate]] = defaultdict(list)
    for call in calls:
        if not call.rang:
            continue
        silent = call.caller not in by_caller and not lines[call.caller]
        if call.door == "room" and silent and _unheard(call, outages):
            result.unheard += 1
            continue
        fate = _fate(call, kills, by_caller.get(call.caller, []), lines[call.caller], result)
        for target in fate.hit or {"none"}:
            fates[target].append(fate)
    strangers = set(by_caller) - {call.caller for call in calls}
    result.problems += [f"a record of {caller}, who never called" for caller in sorted(strangers)]
    counted: Counter[str] = Counter(kill.target for kill in kills)
    for target in (*counted, "none"):
        hit = fates[target]
        result.rows[target] = Row(
            kills=counted[target] if target != "none" else 0,
            hit=len(hit),
            recorded=sum(fate.recorded for fate in hit),
            due=sum(fate.due for fate in hit),
            missing=sum(fate.missing for fate in hit),
        )
    return result


def _records(received: Sequence[Received], result: Balance) -> list[Record]:
    """Return each record once; note repetitions that differ, and what nobody has signed."""
    bodies: dict[str, bytes] = {}
    for delivery in received:
        if not delivery.verified:
            result.unverified += 1
            result.problems.append(f"{delivery.id}: not verified")
        first = bodies.setdefault(delivery.id, delivery.body)
        if first is not delivery.body:
            result.repeated += 1
        if first != delivery.body:
            result.different += 1
            result.problems.append(f"{delivery.id}: two bodies")
    records = [Record.model_validate_json(body) for body in bodies.values()]
    for record, name in zip(records, bodies, strict=True):
        if str(record.id) != name:
            result.problems.append(f"{name}: holds the record {record.id}")
    result.records = len(records)
    result.endings = dict(Counter(record.ending.reason.value for record in records))
    return records


def _unheard(call: Call, outages: Sequence[tuple[float, float]]) -> bool:
    """Whether there was hardly any courier while livekit-server tried to tell of the call."""
    tried_until = call.begun_at + TELLS
    away = (min(up, tried_until) - max(down, call.begun_at) for down, up in outages)
    return sum(max(0.0, seconds) for seconds in away) > UNHEARD


@dataclass(frozen=True)
class _Fate:
    hit: frozenset[str]
    recorded: bool
    due: int = 0
    missing: int = 0


def _fate(
    call: Call, kills: Sequence[Kill], records: list[Record], said: list[Said], result: Balance
) -> _Fate:
    names = {file_name(record.call_id) for record in records}
    cuts = [kill for kill in kills if _hits(kill, call, names)]
    hit = frozenset(kill.target for kill in cuts)
    if not records and any(
        kill.target in {"gateway", "all"} and 0 <= kill.at - call.begun_at < UNBORN for kill in cuts
    ):
        result.unborn += 1
        return _Fate(hit, recorded=True)
    result.calls += 1
    if len(records) != 1:
        result.lost += not records
        what = "no record" if not records else f"{len(records)} records"
        result.problems.append(
            f"{call.caller} ({call.door}, begun {call.begun_at:.3f}, over {call.over_at:.3f}, "
            f"hit by {', '.join(sorted(hit)) or 'nothing'}): {what}"
        )
        return _Fate(hit, recorded=bool(records))
    until = min([call.over_at, *(kill.at for kill in cuts)])
    due = due_turns(said, call, until, played_out=result.played_out)
    result.said += sum(one.kind in {"caller", "agent"} for one in said)
    result.due += due.total()
    sent = sum(one.kind == "caller" and one.at <= until - DURABLE for one in said)
    result.untaken += sent - sum(count for (role, _), count in due.items() if role == "caller")
    result.recorded += len(records[0].turns)
    lacking = _compare(call, records[0], due, said, result)
    return _Fate(hit, recorded=True, due=due.total(), missing=lacking)


def _hits(kill: Kill, call: Call, journals: set[str]) -> bool:
    lasting = call.begun_at <= kill.at <= call.over_at
    match kill.target:
        case "job":
            return bool(kill.journals & journals)
        case "courier":
            return False
        case "gateway":
            return lasting and call.door != "room"
        case _:
            return lasting


def _played_out(records: Sequence[Record], lines: Mapping[str, Sequence[Said]]) -> float:
    """Return how long after its audio an answer may take: a busy machine plays late."""
    latest = 0.0
    for record in records:
        texts = {
            _plain(one.text): one.at + one.seconds
            for one in lines.get(record.caller_number or "", ())
            if one.kind == "agent"
        }
        answered = record.answered_at.timestamp() if record.answered_at else 0.0
        for turn in record.turns:
            over_at = texts.get(_plain(turn.text))
            if turn.role is Role.AGENT and over_at is not None:
                latest = max(latest, turn.ended_at.timestamp() - max(over_at, answered))
    return max(PLAYED_OUT, 1.5 * latest)


def due_turns(
    said: Sequence[Said], call: Call, cut_at: float, *, played_out: float = PLAYED_OUT
) -> Counter[tuple[str, str]]:
    """Return the turns, by role and text, that a record of this call must have.

    Args:
        said: Of this caller alone.
        cut_at: When the first thing happened that could keep a turn from being recorded.
    """
    return Counter(_due(said, call, cut_at - DURABLE, played_out))


def _due(
    said: Sequence[Said], call: Call, until: float, played_out: float
) -> Iterable[tuple[str, str]]:
    for index, one in enumerate(said):
        if one.kind == "caller" and one.taken_at is not None and one.taken_at <= until:
            yield "caller", _plain(one.text)
        elif one.kind == "agent" and call.answered_at is not None:
            final_at = max(one.at, call.answered_at) + one.seconds + played_out
            if final_at <= until and not _spoken_into(said, index, final_at):
                yield "agent", _plain(one.text)


def _spoken_into(said: Sequence[Said], index: int, until: float) -> bool:
    """Whether the caller was speaking when an answer came, or began before it was played out."""
    onsets = [one.kind for one in said[:index] if one.kind in {"speaks", "caller"}]
    spoke = bool(onsets) and onsets[-1] == "speaks"
    return spoke or any(one.kind == "speaks" and one.at <= until for one in said[index:])


def _compare(
    call: Call,
    record: Record,
    due: Counter[tuple[str, str]],
    said: Sequence[Said],
    result: Balance,
) -> int:
    whole: Counter[tuple[str, str]] = Counter(
        (one.kind, _plain(one.text)) for one in said if one.kind in {"caller", "agent"}
    )
    answers = [_plain(one.text) for one in said if one.kind in {"agent", "cut"}]
    found: Counter[tuple[str, str]] = Counter()
    for turn in record.turns:
        key = (str(turn.role), _plain(turn.text))
        heard_in_part = turn.role is Role.AGENT and key not in whole
        if not heard_in_part or not any(answer.startswith(key[1]) for answer in answers):
            found[key] += 1
    lacking = due - found
    invented = found - whole
    for (role, text), count in lacking.items():
        result.problems.append(f"{call.caller}: {count} turn(s) missing: {role} {text!r}")
    for (role, text), count in invented.items():
        result.problems.append(f"{call.caller}: {count} turn(s) too many: {role} {text!r}")
    result.missing += lacking.total()
    result.invented += invented.total()
    return lacking.total()


def _plain(text: str) -> str:
    return " ".join(text.split())
