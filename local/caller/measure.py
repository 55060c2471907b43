"""What a call was like, computed from its packets alone; pure functions.

The times are those of a person with a telephone. Something is *said* when the packet with its last
sound is sent, and *heard* when the packet with its first sound arrives. The agent *is silent* when
the sound of its last loud packet is over (20 ms after that arrived) and it stays quiet for 400 ms,
which is longer than its pauses between words. What is loud: see `local.caller.packets`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from local.caller.packets import (
    CallLog,
    ReceivedPacket,
    SentPacket,
    Utterance,
    UtteranceKind,
    is_loud,
)
from local.caller.rtp import FRAME_SECONDS, extended_sequences

__all__ = ["Measures", "Pacing", "Silence", "TurnMeasures", "loss_percent", "measure"]

_STAYS_QUIET: Final = 0.4
_SPEAKS_NOW: Final = 0.3
"""An agent that was loud so shortly ago is in the middle of its speech."""


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TurnMeasures(_Figures):
    """One thing that the caller said, and what the agent did.

    Attributes:
        started_s: Seconds after the INVITE, as `ended_s`.
        response_ms: End of own speech to first agent audio; None when the agent said nothing
            before the caller's next utterance, or was still speaking.
        barge_in_ms: Start of own speech to agent silent; None when the agent was not speaking, or
            did not stop before the caller's next utterance.
        interrupted_agent: The agent was speaking when the caller began.
    """

    kind: UtteranceKind
    text: str
    started_s: float
    ended_s: float
    response_ms: float | None
    barge_in_ms: float | None
    interrupted_agent: bool


class Silence(_Figures):
    """Neither side was loud for `seconds`, from `at_s` after the INVITE on."""

    seconds: float
    at_s: float


class Pacing(_Figures):
    """How late our packets left; a run counts only while `p99_ms` is below 5."""

    packets: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Measures(_Figures):
    """One call in figures; None where there is nothing to measure.

    Attributes:
        largest_gap_ms: Between two loud agent packets in a row: an underrun when above 40.
    """

    invite_to_180_ms: float | None
    invite_to_200_ms: float | None
    answer_to_first_audio_ms: float | None
    turns: tuple[TurnMeasures, ...]
    longest_silence: Silence | None
    lost_packets_percent: float | None
    largest_gap_ms: float | None
    pacing: Pacing | None
    duration_s: float


def measure(log: CallLog) -> Measures:
    """Return the figures of one call."""
    received = sorted(log.received, key=lambda packet: packet.at)
    loud = [packet.at for packet in received if is_loud(packet)]
    first = next(iter(loud), None)
    return Measures(
        invite_to_180_ms=_span(log.invited_at, log.ringing_at),
        invite_to_200_ms=_span(log.invited_at, log.answered_at),
        answer_to_first_audio_ms=None if log.answered_at is None else _span(log.answered_at, first),
        turns=tuple(_turns(log, loud)),
        longest_silence=_longest_silence(log, loud),
        lost_packets_percent=loss_percent(received),
        largest_gap_ms=_largest_gap(received),
        pacing=_pacing(log.sent),
        duration_s=round(log.ended_at - log.invited_at, 3),
    )


def _span(start: float, end: float | None) -> float | None:
    return None if end is None else round((end - start) * 1000, 1)


def _turns(log: CallLog, agent: Sequence[float]) -> Iterable[TurnMeasures]:
    starts = [utterance.started_at for utterance in log.utterances]
    for utterance, until in zip(log.utterances, [*starts[1:], log.ended_at], strict=False):
        start, end = _loud_span(utterance, log.sent)
        interrupted = any(start - _SPEAKS_NOW <= at <= start for at in agent)
        silent = _silent_at(agent, start, until) if interrupted else None
        answer = next((at for at in agent if at > max(end, silent or 0) and at < until), None)
        if interrupted and silent is None:
            answer = None
        yield TurnMeasures(
            kind=utterance.kind,
            text=utterance.text,
            started_s=round(start - log.invited_at, 3),
            ended_s=round(end - log.invited_at, 3),
            response_ms=_span(end, answer),
            barge_in_ms=_span(start, silent),
            interrupted_agent=interrupted,
        )


def _loud_span(utterance: Utterance, sent: Iterable[SentPacket]) -> tuple[float, float]:
    """Return when the first and the last loud packet of an utterance were sent."""
    times = [
        packet.at
        for packet in sent
        if utterance.started_at <= packet.at <= utterance.ended_at
        and (packet.key or is_loud(packet))
    ]
    return (times[0], times[-1]) if times else (utterance.started_at, utterance.ended_at)


def _silent_at(agent: Sequence[float], start: float, until: float) -> float | None:
    """Return when the agent, speaking at `start`, had fallen silent; None when not by `until`."""
    last = max((at for at in agent if at <= start), default=start)
    for at in (at for at in agent if at > start):
        if at - last > _STAYS_QUIET:
            break
        last = at
    silent = max(start, last + FRAME_SECONDS)
    return silent if silent < until else None


def _longest_silence(log: CallLog, agent: Sequence[float]) -> Silence | None:
    if log.answered_at is None:
        return None
    own = (packet.at for packet in log.sent if packet.key or is_loud(packet))
    sounds = sorted(at for at in itertools.chain(own, agent) if log.answered_at <= at)
    quiet_from = log.answered_at
    longest, begins = 0.0, quiet_from
    for at in (*(at for at in sounds if at < log.ended_at), log.ended_at):
        if at - quiet_from > longest:
            longest, begins = at - quiet_from, quiet_from
        quiet_from = at + FRAME_SECONDS
    return Silence(seconds=round(longest, 3), at_s=round(begins - log.invited_at, 3))


def loss_percent(received: Sequence[ReceivedPacket]) -> float | None:
    """Return how many of the agent's packets never came, by their sequence numbers."""
    by_source: defaultdict[int, list[int]] = defaultdict(list)
    for packet in received:
        by_source[packet.packet.ssrc].append(packet.packet.sequence)
    if not by_source:
        return None
    expected = came = 0
    for sequences in by_source.values():
        extended = extended_sequences(sequences)
        expected += max(extended) - min(extended) + 1
        came += len(set(extended))
    return round(100 * (expected - came) / expected, 3)


def _largest_gap(received: Sequence[ReceivedPacket]) -> float | None:
    gaps = (b.at - a.at for a, b in itertools.pairwise(received) if is_loud(a) and is_loud(b))
    largest = max(gaps, default=None)
    return None if largest is None else round(largest * 1000, 1)


def _pacing(sent: Sequence[SentPacket]) -> Pacing | None:
    if not sent:
        return None
    late = np.array([packet.at - packet.due for packet in sent]) * 1000
    p50, p99 = np.percentile(late, (50, 99))
    return Pacing(
        packets=len(sent),
        p50_ms=round(float(p50), 3),
        p99_ms=round(float(p99), 3),
        max_ms=round(float(late.max()), 3),
    )
