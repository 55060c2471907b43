"""The decisions of the two audio streams, without clock or network."""

from __future__ import annotations

import asyncio
import struct
from typing import cast

from livekit import rtc

from sip.gateway.audio import (
    FRAME_BYTES,
    CallAudio,
    CallerVoice,
    Fill,
    Pace,
    concealed,
    is_quiet,
    mixed,
)

_PACKET = 0.02
_QUIET = bytes(FRAME_BYTES)
_LOUD = b"\x00\x20" * (FRAME_BYTES // 2)


def _play(pace: Pace, arrivals: list[float], *, quiet: bool = False) -> tuple[int, int]:
    """Let packets of 20 ms arrive; return the frames that are sent, and those put in."""
    sent = filled = 0
    for now in arrivals:
        filled += pace.arrived(now, _PACKET)
        sent += sum(pace.takes(now, _QUIET if quiet else _LOUD) for _ in range(2))
    return sent, filled


def test_steady_audio_passes_whole_and_without_silence() -> None:
    """Two frames every 20 ms are all taken; nothing is added between them."""
    pace = Pace(0.0)
    for packet in range(500):
        assert pace.missing(packet * _PACKET) == 0
        assert _play(pace, [packet * _PACKET]) == (2, 0)
    assert pace.dropped == 0


def test_jitter_is_not_taken_for_loss() -> None:
    """Packets up to 44 ms late come through whole, and nothing is put between them."""
    pace = Pace(0.0)
    arrivals = [number * _PACKET + 0.044 * (number % 3 == 1) for number in range(300)]
    assert _play(pace, sorted(arrivals)) == (600, 0)


def test_lost_packets_do_not_delay_what_follows() -> None:
    """All of the lost packets but two are made up for, so that time never falls behind."""
    pace = Pace(0.0)
    arrivals = [number * _PACKET for number in range(500) if number % 5 != 4]
    sent, filled = _play(pace, arrivals)
    assert sent == 800
    assert 2 * (100 - 3) <= filled <= 2 * (100 - 1)


def test_a_hole_is_filled_at_the_pace_of_the_clock() -> None:
    """A second without RTP becomes a second of silence, less the 60 ms that may be jitter."""
    pace = Pace(0.0)
    filled = sum(pace.missing(tick * 0.005) for tick in range(1, 201))
    assert 94 <= filled <= 96


def test_speech_after_a_pause_is_not_held_back() -> None:
    """What is still missing of a pause is not put before the first word."""
    pace = Pace(0.0)
    for tick in range(1, 201):
        pace.missing(tick * 0.005)
    assert _play(pace, [1.0 + number * _PACKET for number in range(50)]) == (100, 0)


def test_what_waited_for_us_is_no_loss() -> None:
    """After 60 ms in which this process did nothing, four packets at once are taken as they are."""
    pace = Pace(0.0)
    _play(pace, [0.0])
    assert pace.arrived(0.08, 4 * _PACKET) == 0


def test_what_is_left_out_on_purpose_is_not_made_up_for() -> None:
    """Where a backlog was skipped, nothing stands in for it."""
    pace = Pace(0.0)
    _play(pace, [0.0])
    pace.skip()
    assert pace.arrived(0.5, _PACKET) == 0


def test_a_burst_is_let_through_up_to_a_tenth_of_a_second() -> None:
    """What came late is not lost, but a delay never builds up."""
    pace = Pace(1.0)
    taken, _ = _play(pace, [1.0] * 30)
    assert 10 <= taken <= 12
    assert pace.dropped == 60 - taken


def test_a_fast_clock_costs_pauses_before_words() -> None:
    """Of a phone whose clock gains 0.5 % a quiet frame goes first, and no loud one then."""
    pace = Pace(0.0)
    arrivals = [number * _PACKET * 0.995 for number in range(2000)]
    loud = quiet = 0
    for number in range(0, 2000, 100):
        loud += 200 - _play(pace, arrivals[number : number + 50], quiet=False)[0] - 100
        quiet += 100 - _play(pace, arrivals[number + 50 : number + 100], quiet=True)[0]
    assert loud == 0
    assert 8 <= quiet <= 20


def test_a_long_stall_does_not_flood_the_room() -> None:
    """After a stop of the whole process ten frames of silence are sent at most."""
    pace = Pace(0.0)
    assert pace.missing(30.0) == 10
    assert pace.missing(30.0) <= 1


def test_a_lost_packet_is_the_one_before_it_at_half_its_level() -> None:
    """Then silence: nothing is ever repeated twice."""
    last = (struct.pack("<2h", 1000, -1000), struct.pack("<2h", 600, 3))
    halves = [struct.pack("<2h", 500, -500), struct.pack("<2h", 300, 1)]
    assert concealed(last, 2) == halves
    assert concealed(last, 4)[:2] == halves
    assert set(concealed(last, 4)[2:]) == {bytes(FRAME_BYTES)}
    assert concealed((), 1) == [bytes(FRAME_BYTES)]


def _after(fill: Fill, stock: int, *, quiet: bool, frames: int = 400) -> list[int]:
    return [fill.copies(stock, quiet=quiet) for _ in range(frames)]


class _Sound:
    """The sound of a call of which more has come than anybody has read."""

    def __init__(self, frames: int) -> None:
        self._waiting = b"".join(struct.pack("<h", number) * 80 for number in range(frames))
        self._reads = 0
        self.read_out = asyncio.Event()

    def read(self, most: int) -> bytes:
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        if not taken:
            self._reads += 1
        if self._reads > 1:
            self.read_out.set()
        return taken


class _Track:
    def __init__(self) -> None:
        self.frames: list[int] = []

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        self.frames.append(frame.data[0])


async def test_a_backlog_is_left_out() -> None:
    """Of a second that nobody has read the latest 120 ms are sent, from their start on."""
    sound, track = _Sound(100), _Track()
    voice = CallerVoice(cast("rtc.AudioSource", track), cast("CallAudio", sound))
    running = asyncio.create_task(voice.run())
    await asyncio.wait_for(sound.read_out.wait(), 10)
    running.cancel()
    assert len(track.frames) >= 8
    assert track.frames == list(range(88, 88 + len(track.frames)))


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
