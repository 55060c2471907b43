"""The decisions of the two audio streams, without clock or network."""

from __future__ import annotations

import struct

from sip.gateway.audio import FRAME_BYTES, Fill, Pace, is_quiet, mixed


def test_steady_audio_passes_whole_and_without_silence() -> None:
    """Two frames every 20 ms are all taken; nothing is added between them."""
    pace = Pace(0.0)
    for packet in range(500):
        now = packet * 0.02
        assert pace.missing(now) == 0
        assert pace.takes(now)
        assert pace.takes(now)
    assert pace.dropped == 0


def test_a_hole_is_filled_at_the_pace_of_the_clock() -> None:
    """A second without RTP becomes a second of silence, less the 60 ms that may be jitter."""
    pace = Pace(0.0)
    filled = sum(pace.missing(tick * 0.005) for tick in range(1, 201))
    assert 94 <= filled <= 96


def test_a_burst_is_let_through_up_to_a_fifth_of_a_second() -> None:
    """What came late is not lost, but a delay never builds up."""
    pace = Pace(0.0)
    taken = sum(pace.takes(1.0) for _ in range(60))
    assert 20 <= taken <= 22
    assert pace.dropped == 60 - taken


def test_a_long_stall_does_not_flood_the_room() -> None:
    """After a stop of the whole process ten frames of silence are sent at most."""
    pace = Pace(0.0)
    assert pace.missing(30.0) == 10
    assert pace.missing(30.0) <= 1


def _after(fill: Fill, stock: int, *, quiet: bool, frames: int = 400) -> list[int]:
    return [fill.copies(stock, quiet=quiet) for _ in range(frames)]


def test_speech_passes_frame_by_frame() -> None:
    """No frame of a word is doubled or left out, however much is in stock below the limit."""
    assert set(_after(Fill(), FRAME_BYTES, quiet=False)) == {1}
    assert set(_after(Fill(), 11 * FRAME_BYTES, quiet=False)) == {1}


def test_pauses_build_up_a_stock() -> None:
    """A stock that runs dry gets a quiet frame twice, once every fifth of a second."""
    fill = Fill()
    assert _after(fill, 0, quiet=True).count(2) == fill.added == 20


def test_pauses_take_down_what_is_never_needed() -> None:
    """A stock that never falls to 10 ms loses quiet frames."""
    fill = Fill()
    assert _after(fill, 2 * FRAME_BYTES, quiet=True).count(0) == fill.dropped == 20


def test_a_stock_that_ran_out_in_speech_is_made_larger_for_a_while() -> None:
    """After a hole 20 ms are kept instead of 10, until ten calm seconds have passed."""
    fill = Fill()
    fill.copies(0, quiet=False)
    _after(fill, FRAME_BYTES, quiet=True, frames=20)
    assert _after(fill, FRAME_BYTES, quiet=True, frames=40).count(2) == 2
    _after(fill, 2 * FRAME_BYTES, quiet=True, frames=1100)
    assert set(_after(fill, FRAME_BYTES, quiet=True)) == {1}


def test_a_full_stock_takes_nothing() -> None:
    """Nobody hears the agent more than 120 ms late."""
    assert set(_after(Fill(), 12 * FRAME_BYTES, quiet=False)) == {0}


def test_a_pause_is_told_from_speech() -> None:
    """The noise of a line is quiet, a voice is not."""
    assert is_quiet(struct.pack("<3h", 120, -150, 0))
    assert not is_quiet(struct.pack("<3h", 120, -2500, 0))
    assert not is_quiet(struct.pack("<2h", 0, -32768))


def test_voices_add_up_and_clip() -> None:
    """The sum of two voices, as long as the longer, without wrapping over."""
    loud = struct.pack("<3h", 30000, -30000, 5)
    soft = struct.pack("<2h", 10000, -10000)
    assert struct.unpack("<3h", mixed([soft, loud])) == (32767, -32768, 5)
