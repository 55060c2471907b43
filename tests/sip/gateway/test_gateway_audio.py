"""The decisions of the two audio streams, without clock or network."""

from __future__ import annotations

import struct

from sip.gateway.audio import FRAME_BYTES, Fill, Pace, mixed


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


def test_stock_that_the_sender_needs_is_left_alone() -> None:
    """A fill that swings down to 10 ms loses no frame."""
    fill = Fill()
    assert all(fill.takes(stock) for _ in range(300) for stock in (FRAME_BYTES, 2 * FRAME_BYTES))


def test_stock_that_is_never_needed_shrinks_by_a_frame_a_second() -> None:
    """A fill that stays at 30 ms loses one frame in a hundred."""
    fill = Fill()
    taken = [fill.takes(3 * FRAME_BYTES) for _ in range(300)]
    assert taken.count(False) == fill.dropped == 3


def test_a_full_stock_takes_nothing() -> None:
    """Nobody hears the agent more than 100 ms late."""
    fill = Fill()
    assert not any(fill.takes(10 * FRAME_BYTES) for _ in range(5))


def test_voices_add_up_and_clip() -> None:
    """The sum of two voices, as long as the longer, without wrapping over."""
    loud = struct.pack("<3h", 30000, -30000, 5)
    soft = struct.pack("<2h", 10000, -10000)
    assert struct.unpack("<3h", mixed([soft, loud])) == (32767, -32768, 5)
