"""The comparison of two journals forgives times and ids, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.peers.journal_parity import comparable
from tests.samples import at, ended, opened, spoken, used
from thirdring.calls import EndReason, Latency, Role, Usage
from thirdring.journal import Answered, DigitPressed, Entry, LatencyMeasured, UsageCounted

Journal = list[Entry]


def call(mark: str = "1", *, caller: str = "+12025550199", late: float = 0) -> Journal:
    """Return the journal of a call whose ids and times are its own."""
    first = opened(f"SCL_{mark}")
    leg = first.leg.model_copy(
        update={
            "caller": caller,
            "identity": f"sip_{caller}",
            "sip_call_id": f"{mark}@127.0.0.1",
            "trunk_id": f"ST_{mark}",
            "rule_id": f"SDR_{mark}",
        }
    )
    own = {"leg": leg, "room": f"call-_{caller}_{mark}", "job": f"AJ_{mark}"}
    turn = spoken(2, role=Role.AGENT, text="We are open.")
    reply = Latency(kind="reply", milliseconds=900 + late, turn_id=f"t{mark}")
    usage = Usage(model="gpt-realtime-2.1", input_tokens=int(100 + late))
    return [
        first.model_copy(update={**own, "at": at(late)}),
        Answered(at=at(1 + late)),
        turn.model_copy(update={"turn": turn.turn.model_copy(update={"id": f"t{mark}"})}),
        LatencyMeasured(at=at(2 + late), latency=reply),
        UsageCounted(at=at(2), usage=usage),
        DigitPressed(at=at(3 + late), digit="1"),
        used(4).model_copy(update={"at": at(9 + late)}),
        ended(5 + late),
    ]


def changed(position: int, **fields: object) -> Callable[[Journal], Journal]:
    """Return what changes fields of one entry, or of the value inside it."""

    def change(entries: Journal) -> Journal:
        entry = entries[position]
        inner = next(
            (n for n in ("leg", "turn", "use", "ending", "usage", "latency") if hasattr(entry, n)),
            None,
        )
        if inner and not fields.keys() <= type(entry).model_fields.keys():
            fields_of_entry: dict[str, object] = {
                inner: getattr(entry, inner).model_copy(update=fields)
            }
        else:
            fields_of_entry = fields
        altered = entry.model_copy(update=fields_of_entry)
        return [*entries[:position], altered, *entries[position + 1 :]]

    return change


def test_times_and_ids_are_forgiven() -> None:
    """Another caller at another time, with ids, tokens and waits of its own, is the same call."""
    assert comparable(call()) == comparable(call("2", caller="+12025550155", late=7))


def test_a_latency_may_be_written_before_its_turn() -> None:
    """What happens at the same moment has no order."""
    entries = call()
    swapped = [*entries[:2], entries[3], entries[2], *entries[4:]]
    assert comparable(swapped) == comparable(entries)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(changed(0, line="+12025550143"), id="line"),
        pytest.param(changed(0, business=None), id="business"),
        pytest.param(changed(0, room="other_1"), id="room"),
        pytest.param(changed(0, called=None), id="called"),
        pytest.param(changed(0, identity="phone"), id="identity"),
        pytest.param(changed(0, rule_id=None), id="rule"),
        pytest.param(changed(2, text="We are closed."), id="text"),
        pytest.param(changed(2, interrupted=True), id="interrupted"),
        pytest.param(changed(3, turn_id=None), id="turn"),
        pytest.param(changed(4, model="gpt-realtime"), id="model"),
        pytest.param(changed(5, digit="2"), id="digit"),
        pytest.param(changed(6, result=None), id="result"),
        pytest.param(changed(6, arguments={"day": "friday"}), id="arguments"),
        pytest.param(changed(7, reason=EndReason.AGENT_HUNG_UP), id="reason"),
        pytest.param(lambda entries: [entries[0], *entries[2:]], id="unanswered"),
        pytest.param(lambda entries: [*entries[:6], entries[5], *entries[6:]], id="twice"),
        pytest.param(lambda entries: entries[:-1], id="unended"),
    ],
)
def test_nothing_else_is_forgiven(change: Callable[[Journal], Journal]) -> None:
    """A single field that differs, an entry too many or too few, makes another call."""
    assert comparable(change(call())) != comparable(call())
