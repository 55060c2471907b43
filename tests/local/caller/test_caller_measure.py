"""Figures of synthetic packet logs, each known exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.caller.g711 import mulaw_encode
from local.caller.measure import loss_percent, measure
from local.caller.packets import CallLog, ReceivedPacket, SentPacket, Utterance, UtteranceKind
from local.caller.recording import render
from local.caller.rtp import RtpPacket
from local.caller.voice import tone

LOUD, NOISE = -20.0, -55.0
PAYLOAD = mulaw_encode(tone(500, 20))


def heard(at: float, level: float = LOUD, *, sequence: int = 0, ssrc: int = 1) -> ReceivedPacket:
    timestamp = round(at * 8000) % 2**32
    return ReceivedPacket(at, RtpPacket(0, sequence, timestamp, ssrc, PAYLOAD), level)


def speech(start: float, end: float) -> list[ReceivedPacket]:
    """Return 20 ms packets from `start` up to and without `end`."""
    return [heard(start + number * 0.02) for number in range(round((end - start) / 0.02))]


def said(start: float, end: float) -> list[SentPacket]:
    packet = RtpPacket(0, 0, 0, 2, PAYLOAD)
    times = [start + number * 0.02 for number in range(round((end - start) / 0.02))]
    return [SentPacket(at, at - 0.001, packet, LOUD) for at in times]


def utterance(start: float, end: float) -> Utterance:
    return Utterance(UtteranceKind.SAY, "words", start, end)


def log(
    received: Sequence[ReceivedPacket] = (),
    sent: Sequence[SentPacket] = (),
    utterances: Sequence[Utterance] = (),
) -> CallLog:
    """Return a call placed at 100, ringing 0.1 s and answered 0.5 s later, over at 110."""
    return CallLog(100.0, 100.1, 100.5, 110.0, tuple(sent), tuple(received), tuple(utterances))


def test_signalling_and_the_first_audio() -> None:
    """Comfort noise is not the agent's first audio; speech is."""
    noise = [heard(100.5 + number * 0.02, NOISE) for number in range(10)]
    measures = measure(log([*noise, *speech(100.75, 101.75)]))
    assert measures.invite_to_180_ms == 100.0
    assert measures.invite_to_200_ms == 500.0
    assert measures.answer_to_first_audio_ms == 250.0
    assert measures.duration_s == 10.0


def test_a_response_counts_from_the_last_loud_packet() -> None:
    """Silence at the end of an utterance is not the caller's speech."""
    quiet = [SentPacket(103.0, 103.0, RtpPacket(0, 0, 0, 2, PAYLOAD))]
    sent = [*said(102.0, 103.0), *quiet]
    received = [*speech(101.0, 101.5), *speech(103.5, 104.5)]
    (turn,) = measure(log(received, sent, [utterance(102.0, 103.0)])).turns
    assert turn.response_ms == pytest.approx(520.0)
    assert (turn.barge_in_ms, turn.interrupted_agent) == (None, False)


def test_a_barge_in_lasts_until_the_agent_is_silent() -> None:
    """From the first own packet to the end of the agent's last one, pauses between words apart."""
    received = [*speech(101.0, 102.0), *speech(102.2, 102.3), *speech(104.0, 105.0)]
    sent = said(101.9, 103.0)
    (turn,) = measure(log(received, sent, [utterance(101.9, 102.98)])).turns
    assert turn.barge_in_ms == pytest.approx(400.0)
    assert turn.response_ms == pytest.approx(1020.0)


def test_an_agent_that_talks_on_was_not_interrupted() -> None:
    """Speech that never stops before the next utterance is a barge-in without a figure."""
    received = speech(101.0, 104.0)
    utterances = [utterance(102.0, 102.5), utterance(103.0, 103.5)]
    first, _ = measure(log(received, [*said(102, 102.5), *said(103, 103.5)], utterances)).turns
    assert (first.interrupted_agent, first.barge_in_ms, first.response_ms) == (True, None, None)


def test_the_longest_silence_is_that_of_both() -> None:
    """A pause counts only while neither side is loud."""
    sent, received = said(103.0, 104.0), [*speech(100.6, 102.0), *speech(106.0, 109.0)]
    silence = measure(log(received, sent)).longest_silence
    assert silence is not None
    assert silence.seconds == pytest.approx(2.0)
    assert silence.at_s == pytest.approx(4.0)


def test_the_largest_gap_is_that_inside_speech() -> None:
    """Between two loud packets that follow each other; pauses have quiet packets between them."""
    received = [heard(101.0), heard(101.02), heard(101.08), heard(101.1, NOISE), heard(102.0)]
    assert measure(log(received)).largest_gap_ms == pytest.approx(60.0)


def test_pacing_is_how_late_packets_left() -> None:
    """Each packet against its own deadline."""
    pacing = measure(log(sent=said(101.0, 102.0))).pacing
    assert pacing is not None
    assert (pacing.packets, pacing.p50_ms, pacing.max_ms) == (50, 1.0, 1.0)


@given(start=st.integers(0, 0xFFFF), lost=st.sets(st.integers(1, 98)))
def test_loss_is_counted_over_the_wrap_around(start: int, lost: set[int]) -> None:
    """Of 100 numbers those that never came are lost, wherever the count wraps."""
    packets = [
        heard(101 + number * 0.02, sequence=(start + number) % 0x10000)
        for number in range(100)
        if number not in lost
    ]
    assert loss_percent(packets) == pytest.approx(len(lost))


def test_two_streams_are_counted_apart() -> None:
    """A new SSRC starts its own count, and a doubled packet hides no loss."""
    one = [heard(101, sequence=1), heard(101, sequence=1), heard(101, sequence=3)]
    other = [heard(102, sequence=40000, ssrc=9)]
    assert loss_percent([*one, *other]) == 25.0


def test_a_call_that_was_refused_has_no_figures() -> None:
    """What did not happen is None, not 0."""
    measures = measure(CallLog(100.0, None, None, 100.2))
    assert measures.model_dump(exclude_none=True) == {"turns": (), "duration_s": 0.2}


def test_the_recording_places_packets_by_their_timestamps() -> None:
    """A packet that came late is heard in its place, and a lost one is silence."""
    late = heard(101.02).packet
    received = [heard(101.0), ReceivedPacket(101.09, late, LOUD), heard(101.06)]
    agent = render(log(received))[:, 1]
    loud = np.flatnonzero(np.abs(agent.astype(int)).reshape(-1, 160).max(axis=1))
    assert loud.tolist() == [25, 26, 28]


def test_the_recording_follows_a_restarted_stream() -> None:
    """Timestamps that jump begin anew at the arrival."""
    packet = RtpPacket(0, 0, 5, 1, PAYLOAD)
    agent = render(log([heard(101.0), ReceivedPacket(102.0, packet, LOUD)]))[:, 1]
    loud = np.flatnonzero(np.abs(agent.astype(int)).reshape(-1, 160).max(axis=1))
    assert loud.tolist() == [25, 75]
