"""Keys pressed and keys sent: RFC 4733 as phones do it, and as they should not."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from local.caller.rtp import DIGITS, RtpPacket, digit_payloads
from local.caller.voice import tone
from sip.keypad import DIGIT_CODES
from tests.parity.media_call import Site, media_call
from tests.parity.wire import Timed, lost, packets

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(90)]

_NUMBER = random.Random(12)
_FRAME = 0.02
_EVENTS = ("0", "101 telephone-event/8000")


def pressed(
    digits: str, *, kind: int = 101, held: int = 5, ends: int = 3, gap: int = 5
) -> list[Timed]:
    """Return keys between packets of silence, which go on beneath them as many phones do it.

    Args:
        held: Packets of each key before its end.
        ends: How often its end is told.
        gap: Packets of silence between two keys.
    """
    plan: list[Timed] = []
    sequence = itertools.count(500)
    slot = 0

    def put(packet: RtpPacket) -> None:
        plan.append(Timed(slot * _FRAME, replace(packet, sequence=next(sequence))))

    def silence() -> None:
        put(RtpPacket(0, 0, 7000 + 160 * slot, 5, b"\xff" * 160))

    for digit in digits:
        for _ in range(gap):
            silence()
            slot += 1
        payloads = list(digit_payloads(digit, packets=held))
        payloads = payloads[:held] + payloads[-1:] * ends
        began = 7000 + 160 * slot
        for number, payload in enumerate(payloads):
            put(RtpPacket(kind, 0, began, 5, payload, marker=number == 0))
            silence()
            slot += 1
    for _ in range(10):
        silence()
        slot += 1
    return plan


def with_volume(plan: Sequence[Timed], volume: int) -> list[Timed]:
    """Return keys with another volume (RFC 4733 section 2.3.3)."""
    return [
        replace(one, packet=replace(one.packet, payload=bytes((event, end & 0x80 | volume, *rest))))
        if one.packet.payload_type != 0
        else one
        for one in plan
        for event, end, *rest in [one.packet.payload]
    ]


def end_first(plan: Sequence[Timed]) -> list[Timed]:
    """Return a pressed key whose end overtakes the packet before it."""
    keys = [number for number, one in enumerate(plan) if one.packet.payload_type != 0]
    before, end = keys[4], keys[5]
    changed = list(plan)
    changed[before] = replace(plan[before], packet=plan[end].packet)
    changed[end] = replace(plan[end], packet=plan[before].packet)
    return changed


async def digits_of(
    site: Site, plan: Sequence[Timed], formats: Sequence[str] = _EVENTS, *, expected: int
) -> str:
    """Place a call, press, and return what the agent is told."""
    async with media_call(site, f"+1556{_NUMBER.randrange(10**7):07d}", formats) as call:
        call.send(plan)
        # One digit more than expected would come with or right after the last one.
        await asyncio.sleep(plan[-1].at)
        await call.agent.until(lambda: len(call.agent.digits) >= expected)
        await asyncio.sleep(0.3)
        return "".join(call.agent.digits)


async def test_all_sixteen_keys_by_any_payload_type(site: Site) -> None:
    """96, 97, 101, 110 and 127, by name, also beside those of wideband codecs."""
    wide = ("0", "102 telephone-event/16000", "96 telephone-event/8000", "98 telephone-event/48000")
    heard = await asyncio.gather(
        digits_of(site, pressed(DIGITS, held=3, gap=3), expected=16),
        *(
            digits_of(
                site, pressed("15", kind=kind), ("0", f"{kind} telephone-event/8000"), expected=2
            )
            for kind in (97, 110, 127)
        ),
        digits_of(site, pressed("73", kind=96), wide, expected=2),
    )
    assert heard == [DIGITS, "15", "15", "15", "73"]


async def test_a_key_counts_once_however_it_is_sent(site: Site) -> None:
    """Held for 1 s, its end lost or told six times, no marker, any volume, each packet twice."""
    unmarked = [replace(one, packet=replace(one.packet, marker=False)) for one in pressed("42")]
    plans = {
        "7": pressed("7", held=50),
        "12": pressed("12", ends=0),
        "33": pressed("33", ends=6),
        "44": pressed("44", ends=1, gap=2),
        "42": unmarked,
        "5": with_volume(pressed("5"), 0),
        "6": with_volume(pressed("6"), 63),
        "99": [copy for one in pressed("99") for copy in (one, one)],
        "1592604837": lost(pressed("1592604837"), 0.2),
    }
    waiting = asyncio.Semaphore(5)

    async def heard(plan: Sequence[Timed], digits: str) -> str:
        async with waiting:
            return await digits_of(site, plan, expected=len(digits))

    assert await asyncio.gather(*(heard(plan, one) for one, plan in plans.items())) == list(plans)


async def test_where_the_stack_cannot_tell_keys_apart(site: Site) -> None:
    """It does not look at timestamps: an end that overtakes counts twice, two without ends once.

    Without telephone-event in the SDP nothing is a key, and the two tones of a key never are.
    """
    tones = tone(697.0, 400, level=-12.0) + tone(1209.0, 400, level=-12.0)
    twice, once, *none = await asyncio.gather(
        digits_of(site, end_first(pressed("1")), expected=2),
        digits_of(site, pressed("11", ends=0), expected=1),
        digits_of(site, pressed("15"), ("0", "8"), expected=0),
        digits_of(site, packets(tones), expected=0),
    )
    assert (twice, once, *none) == ("11", "1", "", "")


async def test_keys_for_the_caller_have_the_payload_type_that_it_offered(site: Site) -> None:
    """One marker, one timestamp, growing durations, three ends; to whom takes none, none."""

    async def sent(*formats: str) -> list[RtpPacket]:
        async with media_call(
            site, f"+1557{_NUMBER.randrange(10**7):07d}", ("0", *formats)
        ) as call:
            for digit in "5#":
                await call.agent.room.local_participant.publish_dtmf(
                    code=DIGIT_CODES[digit], digit=digit
                )
            await asyncio.sleep(1.2)
            return [one.packet for one in call.wire.heard if one.packet.payload_type != 0]

    for kind, keys in zip(
        (96, 101, 110, None),
        await asyncio.gather(
            *(sent(f"{kind} telephone-event/8000") for kind in (96, 101, 110)), sent()
        ),
        strict=True,
    ):
        assert {one.payload_type for one in keys} == ({kind} if kind else set())
        for code in (5, 11) if kind else ():
            event = [one for one in keys if one.payload[0] == code]
            assert [one.marker for one in event] == [True] + [False] * (len(event) - 1)
            assert len({one.timestamp for one in event}) == 1
            assert [one.payload[1] >> 7 for one in event] == [0] * (len(event) - 3) + [1] * 3
            durations = [int.from_bytes(one.payload[2:]) for one in event]
            assert durations == sorted(durations)
            assert durations[-1] >= 40 * 8
