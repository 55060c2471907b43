"""What a journal has lost by a torn or damaged file: that, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.samples import at, ended, opened, spoken, used
from thirdring.calls import Latency, Role, ToolUse, Turn, Usage
from thirdring.journal import (
    Answered,
    DigitPressed,
    Elsewhere,
    Entry,
    HandedOver,
    JournalContents,
    LatencyMeasured,
    ModelFault,
    ToolBegun,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
    Writer,
    line,
    parse,
    parse_entry,
    quarantine,
)
from thirdring.record import build

CALL: tuple[Entry, ...] = (
    opened(),
    spoken(1, text='Grüß Gott, this is \n a "quoted" line'),
    used(2),
    ended(3),
)
VERSION_1 = Path(__file__).with_name("version_1.jsonl")


def data_of(entries: Sequence[Entry]) -> bytes:
    return b"".join(map(line, entries))


def old_data_of(entries: Sequence[Entry]) -> bytes:
    return b"".join(entry.model_dump_json().encode() + b"\n" for entry in entries)


@pytest.mark.parametrize("data", [data_of(CALL), old_data_of(CALL)], ids=["now", "version 1"])
def test_whole_lines_survive_a_cut_anywhere(data: bytes) -> None:
    """However a writer died, all lines before the torn one are there, and the tail is kept."""
    lines = data.splitlines(keepends=True)
    for cut in range(len(data) + 1):
        tail = data[:cut].rpartition(b"\n")[2]
        torn = bool(tail) and tail + b"\n" not in lines
        whole = data[:cut].count(b"\n") + (bool(tail) and not torn)
        assert parse(data[:cut]) == JournalContents(
            CALL[:whole], damaged_tail=torn, damaged=(tail,) if torn else ()
        )
    print(f"{len(data) + 1} cuts, 0 whole lines lost")  # noqa: T201 - beside the zero


def test_a_real_journal_survives_a_cut_at_every_byte() -> None:
    """A whole spoken call of 40 entries: everything before the torn line is read."""
    whole = parse(VERSION_1.read_bytes()).entries
    data = data_of(whole)
    ends = [index + 1 for index, byte in enumerate(data) if byte == ord("\n")]
    for count, (begin, end) in enumerate(pairwise([0, *ends])):
        # What stands before the line is read in the same way at each of its bytes.
        assert parse(data[:begin]).entries == whole[:count]
        for cut in range(begin + 1, end):
            torn = parse(data[begin:cut])
            assert torn.entries == whole[count : count + (cut == end - 1)], f"byte {cut}"
    print(f"{len(data)} cuts in {len(whole)} lines, 0 whole lines lost")  # noqa: T201 - beside the zero


def test_a_flipped_bit_costs_its_own_line_at_most() -> None:
    """Every bit: the other entries are read, the damaged line is kept, none is ever altered."""
    data = data_of(CALL)
    lost = 0
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        contents = parse(bytes(flipped))
        hit = data[: bit // 8].count(b"\n")
        others = (*CALL[:hit], *CALL[hit + 1 :])
        assert contents.entries in (others, CALL), f"bit {bit}"
        assert contents.damaged, f"bit {bit}"
        assert all(piece in flipped for piece in contents.damaged)
        lost += contents.entries == others
    print(f"{len(data) * 8} bits flipped: 0 other lines lost, {lost} own ones")  # noqa: T201 - beside the zero


def test_a_damaged_line_feed_hides_no_entry() -> None:
    """Two whole lines that run into one are two entries."""
    data = data_of(CALL)
    ends = [index for index, byte in enumerate(data) if byte == ord("\n")]
    for end in ends:
        for other in (b"\x0b", b"{", b"0", b" "):
            assert parse(data[:end] + other + data[end + 1 :]).entries == CALL


@given(st.lists(st.one_of(st.binary(max_size=80), st.just(b"[" * 50_000)), max_size=4))
def test_garbage_hides_no_entry(garbage: list[bytes]) -> None:
    """Lines that are no entries are counted and left out; the others are read."""
    noise = [piece.replace(b"\n", b"") for piece in garbage]
    data = b"\n".join([line(opened())[:-1], *noise, line(ended(1))])
    assert parse(data) == JournalContents(
        (opened(), ended(1)), damaged_lines=len(noise), damaged=tuple(noise)
    )


def test_what_is_damaged_is_kept_beside_the_journal(tmp_path: Path) -> None:
    """The bad lines and the torn tail, byte for byte; nothing where nothing is damaged."""
    whole = data_of(CALL)
    data = whole[:40] + b"?" + whole[41:] + b"12345678 {torn"
    kept = quarantine(parse(data), tmp_path / "call.jsonl")
    assert kept == tmp_path / "call.jsonl.quarantine"
    assert kept.read_bytes() == data.splitlines()[0] + b"\n12345678 {torn\n"
    assert quarantine(parse(whole), tmp_path / "other.jsonl") is None
    assert [kept] == list(tmp_path.iterdir())


def test_a_checksum_counts_as_written() -> None:
    """Capital digits, another space or other words are another line."""
    good = line(spoken(1))
    assert parse_entry(good) == spoken(1)
    for bad in (good[:8].upper() + good[8:], good[:8] + b"\t" + good[9:], good[1:]):
        if bad != good:
            with pytest.raises(ValueError, match=r"checksum|1 validation error"):
                parse_entry(bad)


def test_journals_of_version_1_are_read_as_ever() -> None:
    """One that was written by the first version gives its whole record."""
    contents = parse(VERSION_1.read_bytes())
    assert not contents.damaged
    record = build(contents.entries)
    assert (len(record.turns), record.turns[0].started_offset) == (11, None)
    assert record.ending.reason == "limit_reached"
    assert record.duration_seconds > 0


texts = st.text(max_size=30)
instants = st.floats(0, 600).map(at)
offsets = st.none() | st.floats(0, 600)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
turns = st.builds(
    Turn,
    id=texts,
    role=st.sampled_from(Role),
    text=texts,
    started_at=instants,
    ended_at=instants,
    interrupted=st.booleans(),
)
uses = st.builds(
    ToolUse,
    id=texts,
    name=texts,
    arguments=values,
    result=st.none() | texts,
    error=st.none() | texts,
    started_at=instants,
    ended_at=st.none() | instants,
)
writers = st.builds(Writer, role=st.just("job"), pid=st.integers(1, 9999))
entries = st.one_of(
    st.builds(Answered, at=instants, offset=offsets),
    st.builds(Elsewhere, at=instants, offset=offsets),
    st.builds(TurnSpoken, at=instants, turn=turns),
    st.builds(ToolBegun, at=instants, use=uses),
    st.builds(ToolUsed, at=instants, use=uses),
    st.builds(DigitPressed, at=instants, digit=st.sampled_from("0123456789ABCD*#")),
    st.builds(
        LatencyMeasured,
        at=instants,
        latency=st.builds(Latency, kind=st.just("reply"), milliseconds=st.floats(0, 1e4)),
    ),
    st.builds(UsageCounted, at=instants, usage=st.builds(Usage, model=texts)),
    st.builds(ModelFault, at=instants, source=texts, message=texts, recoverable=st.booleans()),
    st.builds(
        HandedOver,
        at=instants,
        business=st.none() | texts,
        line=st.none() | texts,
        workflow=texts,
        model=texts,
        room=texts,
        job=texts,
        writer=writers,
    ),
    st.builds(ended, st.floats(0, 600)),
)


@settings(max_examples=200)
@given(st.lists(entries, max_size=8), st.data())
def test_whatever_is_written_is_read_back_up_to_the_cut(
    written: list[Entry], data: st.DataObject
) -> None:
    """Any entries, cut anywhere: what is read is a prefix, and the record of it is the same."""
    whole: list[Entry] = [opened(), *written]
    stored = data_of(whole)
    cut = data.draw(st.integers(0, len(stored)))
    found = parse(stored[:cut])
    assert list(found.entries) == whole[: len(found.entries)]
    assert len(found.entries) >= stored[:cut].count(b"\n")
    assert parse(stored).entries == tuple(whole)
    if found.opened is not None:
        body = build(found.entries).model_dump_json()
        assert build(parse(stored[:cut]).entries).model_dump_json() == body
