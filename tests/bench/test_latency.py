"""The latency run: figures of known calls, and a whole run against a reflex on this machine."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bench.latency import barge_in_ms, main, measure, mouth_to_ear_ms
from bench.latency_report import Greeting, LatencyReport, Sample, misses, render, to_json
from bench.tones import level_of_tone, strongest_tone
from local.caller.g711 import Samples, mulaw_encode
from local.caller.packets import (
    CallLog,
    ReceivedPacket,
    Utterance,
    UtteranceKind,
    level_of_samples,
)
from local.caller.rtp import RtpPacket
from local.caller.voice import tone
from tests.local.caller.answering_peer import Manners, answering_peer

GREETING, ANSWER = tone(440, 20), tone(1000, 20)
QUIET = np.zeros(160, np.int16)


def call_log(*sounds: Samples) -> CallLog:
    """Return a call in which these packets arrived, every 20 ms from 10.0 on."""
    received = tuple(
        ReceivedPacket(
            10 + number * 0.02,
            RtpPacket(0, number, number * 160, 1, mulaw_encode(sound)),
            level_of_samples(sound),
        )
        for number, sound in enumerate(sounds)
    )
    return CallLog(9.0, 9.1, 9.5, 20.0, (), received)


def burst(at: float) -> Utterance:
    return Utterance(UtteranceKind.BURST, "burst", at, at)


def test_a_greeting_ends_where_its_tone_does() -> None:
    """The answer that follows without a pause is told from the greeting."""
    log = call_log(*[GREETING] * 20, *[ANSWER] * 10, *[QUIET] * 30)
    assert barge_in_ms(log, burst(10.19)) == pytest.approx(210)


def test_the_last_milliseconds_of_a_greeting_count() -> None:
    """A packet that begins with 4 ms of greeting is still greeting."""
    rest = np.concatenate([GREETING[:32], ANSWER[32:]])
    log = call_log(*[GREETING] * 20, rest, *[ANSWER] * 9, *[QUIET] * 30)
    assert barge_in_ms(log, burst(10.19)) == pytest.approx(230)


def test_a_greeting_that_ends_by_itself_was_not_stopped() -> None:
    """An agent that goes on for seconds did not hear the burst."""
    log = call_log(*[GREETING] * 200, *[QUIET] * 50)
    assert barge_in_ms(log, burst(10.19)) is None
    assert barge_in_ms(call_log(*[GREETING] * 40), burst(10.19)) is None


def test_mouth_to_ear_ends_with_the_first_sound() -> None:
    """From the burst's packet to the answer's first one; never when there is none."""
    log = call_log(*[QUIET] * 20, ANSWER)
    assert mouth_to_ear_ms(log, burst(10.19)) == pytest.approx(210)
    assert mouth_to_ear_ms(log, burst(10.41)) is None


def test_tones_are_told_apart() -> None:
    """Frequency to 5 Hz; the level of a tone in the presence of another."""
    assert strongest_tone(tone(440, 60)) == pytest.approx(440, abs=5)
    both = np.concatenate([GREETING, ANSWER, ANSWER])
    assert strongest_tone(both, apart_from=1000) == pytest.approx(440, abs=10)
    assert level_of_tone(tone(440, 20, level=-20), 440) == pytest.approx(-23, abs=0.2)
    assert level_of_tone(ANSWER, 440, (1000,)) < -60


def sample(number: int, **changed: float | None) -> Sample:
    usual = {
        "invite_to_200_ms": 300.0,
        "answer_to_greeting_ms": 100.0,
        "point_s": (0.0, 0.5, 2.0)[number % 3],
        "barge_in_ms": 200.0,
        "mouth_to_ear_ms": 230.0,
        "pacing_p99_ms": 0.3,
    }
    return Sample(**{**usual, **changed})  # type: ignore[arg-type]  # a dict of all its fields


def report(**changed: float | None) -> LatencyReport:
    """Return 40 calls as they should be, but for one."""
    return LatencyReport("sip:x@y", (sample(0, **changed), *(sample(n) for n in range(1, 40))))


def test_a_run_within_all_bounds_passes() -> None:
    """Nothing is missed, and one slow call of forty is within the 95th percentile."""
    assert misses(report()) == ()
    assert misses(report(mouth_to_ear_ms=900.0)) == ()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"barge_in_ms": None}, "barge-in: 1 of 40 never"),
        ({"mouth_to_ear_ms": None}, "mouth to ear: 1 of 40 never"),
        ({"pacing_p99_ms": 6.0}, "packets left 6.0 ms late"),
    ],
)
def test_one_deaf_call_fails_the_run(changed: dict[str, float | None], expected: str) -> None:
    """Percentiles must not hide a caller who was not heard, nor a busy machine."""
    assert any(expected in miss for miss in misses(report(**changed)))


def test_a_missed_bound_names_value_and_bound() -> None:
    """The 95th percentile over its bound is said in words."""
    slow = LatencyReport("sip:x@y", tuple(sample(n, mouth_to_ear_ms=295.0) for n in range(40)))
    assert misses(slow) == (
        "mouth to ear: p50 295 ms, at most 260",
        "mouth to ear: p95 295 ms, at most 290",
    )
    assert misses(LatencyReport("sip:x@y", ())) == ("no call was measured",)


def test_a_slow_spoken_greeting_is_missed_too() -> None:
    """Calls to the model that speaks have bounds of their own."""
    spoken = tuple(Greeting(400.0, 310.0) for _ in range(20))
    assert misses(replace(report(), spoken=spoken)) == (
        "spoken: 200 to greeting: p95 310 ms, at most 300",
    )


def test_the_table_compares_with_a_raw_echo() -> None:
    """The fastest that a room behind livekit-sip can be is named, and how we stand to it."""
    caption = str(render(report()).caption)
    assert "takes 224 ms and more; our mouth to ear against it: +3 %" in caption


def test_the_table_says_by_how_much_we_are_faster() -> None:
    """Every figure stands beside its bound and stock's."""
    console = Console(file=io.StringIO(), width=80)
    console.print(render(report(barge_in_ms=None)))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert re.search(r"mouth to ear +40 +230 +230 +260 / 290 +264 / 305 +-13 % / -25 %", text)
    assert re.search(r"at the first 20 ms .* deaf +heard 13 of 14", text)


def test_the_json_has_no_infinity() -> None:
    """A figure that never happened is null, for JSON has no other word."""
    data = json.dumps(to_json(LatencyReport("x", (sample(0, barge_in_ms=None),))), allow_nan=False)
    assert '"p50": null' in data


async def test_a_whole_run_against_a_reflex_on_this_machine() -> None:
    """Calls, bursts and figures fit together: the reflex hears every burst."""
    manners = Manners(greeting=tone(440, 9000), reflex=True)
    done: list[int] = []
    async with answering_peer(manners) as peer:
        result = await measure(peer.uri, 1, on_call=done.append, warm_up=0)
    (call,) = result.samples
    assert (result.failures, done) == ((), [1])
    assert call.barge_in_ms is not None
    assert call.mouth_to_ear_ms is not None
    assert 0 < call.mouth_to_ear_ms < 3000


def test_a_stack_that_is_down_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens: exit 2 with the reason, and no table."""
    code = main(["--to", "sip:x@127.0.0.1:9", "--n", "1", "--json", str(tmp_path / "out.json")])
    assert code == 2
    assert "nobody listens" in capsys.readouterr().err
