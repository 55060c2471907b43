"""Keys that the far end presses: each counts once, whatever is lost or comes twice."""

from __future__ import annotations

import asyncio

import pytest

from local.caller.keys import HeardKeys, is_key
from local.caller.rtp import RtpPacket, digit_payloads
from local.caller.sdp import EVENT_PAYLOAD_TYPE


def press(heard: HeardKeys, digits: str, *, start: int = 0, lose: int = 0) -> None:
    """Feed the packets of keys, without the first `lose` of each."""
    for number, digit in enumerate(digits):
        for payload in list(digit_payloads(digit))[lose:]:
            packet = RtpPacket(EVENT_PAYLOAD_TYPE, 0, start + number * 1440, 1, payload)
            assert is_key(packet)
            heard.feed(packet)


@pytest.mark.parametrize("lose", [0, 3, 7])
def test_each_key_counts_once(lose: int) -> None:
    """All packets of a key are one key, and any one of them is enough."""
    heard = HeardKeys()
    press(heard, "1155*#", lose=lose)
    assert heard.keys == "1155*#"


async def test_what_is_expected_is_taken() -> None:
    """A second expectation begins after the keys of the first, which may have come before it."""
    heard = HeardKeys()
    press(heard, "12")
    await heard.expect("1")
    waiting = asyncio.ensure_future(heard.expect("2#"))
    await asyncio.sleep(0)
    assert not waiting.done()
    press(heard, "#", start=9000)
    await waiting
    assert heard.fresh == ""


async def test_another_key_is_told() -> None:
    """The first key that is not as expected ends the wait."""
    heard = HeardKeys()
    press(heard, "13")
    with pytest.raises(ValueError, match=r"^13$"):
        await heard.expect("123")


def test_sound_is_no_key() -> None:
    """Audio and what is too short for an event are left alone."""
    assert not is_key(RtpPacket(0, 0, 0, 1, b"\xff" * 160))
    assert not is_key(RtpPacket(EVENT_PAYLOAD_TYPE, 0, 0, 1, b"\x01"))
