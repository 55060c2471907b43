"""What our part of a call costs in time, measured from outside with the reflex as the model.

`python -m bench.latency --to sip:+12025550142@127.0.0.1:5060` calls a running stack: SIP side,
livekit-server, worker, and the local model in reflex mode (`python -m local.realtime --reflex`),
which greets with a long 440 Hz tone and answers a burst of sound with 200 ms of 1000 Hz at once.

Each call gives one INVITE to 200 OK, one 200 OK to greeting, one barge-in (20 ms of tone in the
greeting: at its first packet, 0.5 s or 2 s into it, in turn) and one mouth-to-ear (20 ms of tone
into silence). Each has its own random phase against the agent's 20 ms grid, and all pauses are
random, so that nothing locks to it. A burst is *sent* with its packet and a sound *heard* when its
first packet arrives; the greeting is silent 20 ms after its last packet did.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from rich.console import Console
from rich.progress import Progress

from bench.latency_report import (
    POINTS,
    Greeting,
    LatencyReport,
    Sample,
    misses,
    render,
    to_json,
)
from bench.tones import level_of_tone, strongest_tone
from local.caller.call import open_call
from local.caller.errors import CallNotAsPlanned
from local.caller.g711 import Samples
from local.caller.measure import measure as figures_of
from local.caller.packets import (
    CallLog,
    ReceivedPacket,
    Utterance,
    UtteranceKind,
    decode,
    is_loud,
)
from local.caller.performer import BURST
from local.caller.rtp import FRAME_SECONDS
from thirdring.errors import PhoneError

__all__ = [
    "LatencyReport",
    "barge_in_ms",
    "main",
    "measure",
    "measure_greetings",
    "mouth_to_ear_ms",
    "render",
]

WARM_UP_CALLS: Final = 3
_GREETING_TIMEOUT: Final = 10.0
_END_OF_GREETING_TIMEOUT: Final = 15.0
_ANSWER_TIMEOUT: Final = 3.0
_SETTLED: Final = 0.6
_PAUSE_BEFORE_BURST: Final = (0.2, 0.6)
_PAUSE_BETWEEN_CALLS: Final = (0.8, 1.2)
_ANSWER_HZ: Final = 1000.0
_BEFORE_ANY_EFFECT: Final = 0.06
"""Hardly a path is this short: until then after a burst the greeting sounds unchanged."""
_FADED: Final = 15.0
"""A tone that is so many dB weaker than it was is gone."""
_STAYS_AWAY: Final = 0.4
_DEAF: Final = 2.0
"""An agent that goes on for so long has not heard the burst; its greeting ends some time anyway."""


async def measure(
    target: str,
    n: int,
    *,
    warm_up: int = WARM_UP_CALLS,
    on_call: Callable[[int], None] | None = None,
) -> LatencyReport:
    """Place a few calls to warm up and `n` to measure, one after the other.

    Args:
        target: Such as `sip:+12025550142@127.0.0.1:5060`.
        warm_up: Calls before, which count for nothing.
        on_call: Told how many have been measured.

    Raises:
        CallerError: No call can be placed there at all.
    """
    samples: list[Sample] = []
    failures: list[str] = []
    for number in range(-warm_up, n):
        try:
            sample = await _measured_call(target, POINTS[number % len(POINTS)])
        except CallNotAsPlanned as error:
            # A stack that is down fails the warm-up, and there is nothing to measure then.
            if number < 0:
                raise
            failures.append(str(error))
        else:
            if number >= 0:
                samples.append(sample)
        if on_call is not None and number >= 0:
            on_call(number + 1)
        await asyncio.sleep(random.uniform(*_PAUSE_BETWEEN_CALLS))
    return LatencyReport(target, tuple(samples), tuple(failures))


async def _measured_call(target: str, point: float) -> Sample:
    async with open_call(target) as call:
        await call.wait_for_answer()
        await _expect(asyncio.shield(call.hearing.first), _GREETING_TIMEOUT, "no greeting")
        if point:
            await asyncio.sleep(point + random.uniform(0, FRAME_SECONDS))
        interruption = await call.play(BURST, "burst", UtteranceKind.BURST)
        await _expect(
            call.hearing.silence(_SETTLED), _END_OF_GREETING_TIMEOUT, "the greeting never ended"
        )
        await asyncio.sleep(random.uniform(*_PAUSE_BEFORE_BURST))
        call.hearing.listen_anew()
        question = await call.play(BURST, "burst", UtteranceKind.BURST)
        # An agent that stays silent is a figure too, found in the packets below.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(call.hearing.speech(), _ANSWER_TIMEOUT)
    log = call.log()
    measures = figures_of(log)
    assert measures.invite_to_200_ms is not None
    assert measures.answer_to_first_audio_ms is not None
    assert measures.pacing is not None
    return Sample(
        invite_to_200_ms=measures.invite_to_200_ms,
        answer_to_greeting_ms=measures.answer_to_first_audio_ms,
        point_s=point,
        barge_in_ms=barge_in_ms(log, interruption),
        mouth_to_ear_ms=mouth_to_ear_ms(log, question),
        pacing_p99_ms=measures.pacing.p99_ms,
    )


async def measure_greetings(
    target: str,
    n: int,
    *,
    warm_up: int = WARM_UP_CALLS,
    on_call: Callable[[int], None] | None = None,
) -> tuple[Greeting, ...]:
    """Place calls that hang up once they are greeted, to a line whose model speaks.

    Raises:
        CallNotAsPlanned: A call was not answered or not greeted.
        CallerError: No call can be placed there at all.
    """
    greetings: list[Greeting] = []
    for number in range(-warm_up, n):
        async with open_call(target) as call:
            await call.wait_for_answer()
            await _expect(asyncio.shield(call.hearing.first), _GREETING_TIMEOUT, "no greeting")
        measures = figures_of(call.log())
        assert measures.invite_to_200_ms is not None
        assert measures.answer_to_first_audio_ms is not None
        if number >= 0:
            greetings.append(Greeting(measures.invite_to_200_ms, measures.answer_to_first_audio_ms))
            if on_call is not None:
                on_call(number + 1)
        await asyncio.sleep(random.uniform(*_PAUSE_BETWEEN_CALLS))
    return tuple(greetings)


async def _expect(waiting: Awaitable[object], timeout: float, otherwise: str) -> None:
    try:
        await asyncio.wait_for(waiting, timeout)
    except TimeoutError:
        raise CallNotAsPlanned(f"{otherwise} within {timeout:g} s") from None


def barge_in_ms(log: CallLog, burst: Utterance) -> float | None:
    """Return how long the greeting went on after the burst; None when it was never cut short.

    The answer to the burst may follow without a pause, so the greeting is told by its tone.
    """
    known_until = burst.started_at + _BEFORE_ANY_EFFECT
    greeting = [packet for packet in log.received if packet.at <= known_until and is_loud(packet)]
    if not greeting:
        return None
    decoded = np.concatenate([_samples(packet) for packet in greeting])
    frequency = strongest_tone(decoded, apart_from=_ANSWER_HZ)
    gone = level_of_tone(decoded, frequency, (_ANSWER_HZ,)) - _FADED
    last = burst.started_at
    for packet in log.received:
        if packet.at <= burst.started_at:
            continue
        if last - burst.started_at > _DEAF:
            return None
        if packet.at - last > _STAYS_AWAY:
            return (last + FRAME_SECONDS - burst.started_at) * 1000
        if level_of_tone(_samples(packet), frequency, (_ANSWER_HZ,)) >= gone:
            last = packet.at
    return None


def mouth_to_ear_ms(log: CallLog, burst: Utterance) -> float | None:
    """Return how long after a burst into silence the agent was heard; None when it was not."""
    answers = (p.at for p in log.received if p.at > burst.started_at and is_loud(p))
    first = next(answers, None)
    return None if first is None else (first - burst.started_at) * 1000


def _samples(packet: ReceivedPacket) -> Samples:
    samples = decode(packet.packet)
    assert samples is not None, "other packets are not received as audio"
    return samples


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 1 when a bound is missed, 2 for no run at all."""
    parser = argparse.ArgumentParser("python -m bench.latency", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--to", default="sip:+12025550142@127.0.0.1:5060", help="the line to call")
    parser.add_argument("--n", type=int, default=40, help="calls to measure (40)")
    parser.add_argument("--json", type=Path, help="where every call and the table go")
    options = parser.parse_args(arguments)
    if options.n < 1:
        parser.error("--n must be at least 1")
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"{options.n} calls", total=options.n)
            report = asyncio.run(
                measure(
                    options.to,
                    options.n,
                    on_call=lambda done: progress.update(task, completed=done),
                )
            )
    except PhoneError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    Console().print(render(report))
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(to_json(report), indent=2) + "\n", encoding="utf-8")
    missed = misses(report)
    for miss in missed:
        print(f"MISSED {miss}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
