"""Phones that send no RTP: at first, for a while, for ever."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from livekit import api

from local.caller.voice import tone
from sip.gateway import GatewayAddress
from tests.parity.gateway_process import gateway_process
from tests.parity.media_call import MediaCall, Site, media_call
from tests.parity.wire import Heard, Timed, beats, delays, linear, packets
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(90)]

_NUMBER = random.Random(14)
_PATIENCE = 2
"""Seconds without RTP, in place of 15."""
_LONGER = 2.25 * _PATIENCE


@pytest.fixture(scope="module")
def impatient(access: LiveKitAccess) -> Iterator[GatewayAddress]:
    """Run a gateway that soon takes a phone without RTP for gone."""
    with gateway_process(access, media=_PATIENCE) as address:
        yield address


@pytest.fixture
def site(impatient: GatewayAddress, access: LiveKitAccess, server: api.LiveKitAPI) -> Site:
    return Site(impatient, access, server)


def number() -> str:
    return f"+1559{_NUMBER.randrange(10**7):07d}"


def loud(call: MediaCall) -> list[Heard]:
    """Return the loud packets that the phone has heard."""
    return [one for one in call.audio() if np.abs(linear(one.packet)).max() > 2000]


async def test_a_phone_that_begins_late_hears_the_greeting_from_the_start(site: Site) -> None:
    """Its first packet is no condition for ours; once it sends, it is heard."""
    async with media_call(site, number()) as call:
        await call.agent.say(tone(700.0, 300))
        async with asyncio.timeout(5):
            while len(loud(call)) < 10:  # noqa: ASYNC110 - a thread of its own listens
                await asyncio.sleep(0.02)
        begun = call.send(packets(beats(1.5)))
        await asyncio.sleep(2.1)
        assert max(delays(call.agent.heard, begun, 1.5)) < 1.9
        assert not call.has_ended


async def test_only_who_is_gone_is_taken_for_gone(site: Site) -> None:
    """BYE to a phone that never sent and to one that stopped, after the media timeout.

    None to those that send RTCP alone, comfort noise each second, or nothing by a=recvonly.
    """
    first = packets(beats(0.1))[0]
    report = b"\x81\xc9\x00\x07" + b"\x00\x00\x12\x34" + bytes(24)
    comfort = replace(first.packet, payload_type=13, payload=b"\x40")
    seconds = [0.8 * number for number in range(round(_LONGER))]
    rtcp = [Timed(at, first.packet, data=report) for at in seconds]
    noise = [Timed(at, comfort) for at in seconds]

    async def ended(plan: list[Timed], *lines: str, port: int = 0) -> float | None:
        async with media_call(site, number(), ("0", "13"), *lines) as call:
            begun = call.wire.send(plan, (call.answer.address, call.answer.port + port))
            with contextlib.suppress(TimeoutError):
                await call.phone.asked("BYE", timeout=_LONGER)
                return time.monotonic() - begun
            return None

    never, stopped, *there = await asyncio.gather(
        ended([]),
        ended(packets(beats(0.5))),
        ended(rtcp, port=1),
        ended(noise),
        ended([], "a=recvonly"),
    )
    assert never is not None
    assert stopped is not None
    assert _PATIENCE - 1 < never < _LONGER
    assert _PATIENCE - 1 < stopped < _LONGER
    assert there == [None, None, None]
