"""Sound through the gateway, both ways: which law, how long a packet, how loud, who is heard."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
from livekit import api, rtc

from local.caller.g711 import Samples
from local.caller.voice import tone
from tests.parity.media_call import MediaCall, Site, media_call, offer
from tests.parity.wire import Timed, beats, delays, linear, packets, pitch_of

pytestmark = [pytest.mark.server, pytest.mark.alone, pytest.mark.timeout(90)]

_NUMBER = random.Random(13)
_LEVEL = -12.0
_RMS = _LEVEL - 20 * math.log10(math.sqrt(2))
_PIECE = 400


def number() -> str:
    return f"+1558{_NUMBER.randrange(10**7):07d}"


@dataclass(frozen=True)
class Tone:
    """A tone that was heard, by the median of its pieces of 50 ms, so that one hole is no matter.

    Attributes:
        level: RMS in dB below full scale.
        purity: Power of the tone against all else, in dB.
    """

    pitch: float
    level: float
    purity: float


def tone_in(sound: Samples) -> Tone:
    """Return what the loud part of a recording is."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 1000)
    assert len(loud) > 4 * _PIECE, "nothing was heard"
    heard = sound[loud[0] + _PIECE : loud[-1] - _PIECE].astype(np.float64)
    pieces = heard[: len(heard) // _PIECE * _PIECE].reshape(-1, _PIECE)
    pitch = pitch_of(heard.astype(np.int16))
    levels = 10 * np.log10(np.mean(pieces**2, axis=1) / 32768**2 + 1e-12)
    spectra = np.abs(np.fft.rfft(pieces * np.hanning(_PIECE), axis=1)) ** 2
    is_tone = np.abs(np.fft.rfftfreq(_PIECE, 1 / 8000) - pitch) < 60
    of_tone, of_all = spectra[:, is_tone].sum(axis=1), spectra.sum(axis=1)
    purities = 10 * np.log10((of_tone + 1) / (of_all - of_tone + 1))
    return Tone(pitch, float(np.median(levels)), float(np.median(purities)))


def heard_in_room(call: MediaCall, since: int = 0) -> Samples:
    """Return all that the agent has heard."""
    return np.concatenate([samples for _, samples in call.agent.heard[since:]])


def heard_by_phone(call: MediaCall, since: float = 0.0) -> Samples:
    """Return all that the phone has heard."""
    return np.concatenate([linear(one.packet) for one in call.audio(since)])


async def both_ways(
    call: MediaCall, pitch: float, *, kind: int = 0, ptime: int = 20
) -> tuple[Tone, Tone]:
    """Play a tone from both ends at one time; return what the room and the phone heard."""
    sound = tone(pitch, 800, level=_LEVEL)
    since = len(call.agent.heard)
    begun = call.send(packets(sound, kind=kind, ptime=ptime))
    await call.agent.say(np.concatenate([sound, np.zeros(4800, np.int16)]))
    return tone_in(heard_in_room(call, since)), tone_in(heard_by_phone(call, begun))


def assert_is(heard: Tone, pitch: float, *, purity: float = 25) -> None:
    """Fail unless this is the tone that was played, clean, and within 1.2 dB as loud."""
    assert abs(heard.pitch - pitch) < 3
    assert abs(heard.level - _RMS) < 1.2
    assert heard.purity > purity


async def test_the_first_law_that_both_know_is_spoken_both_ways(site: Site) -> None:
    """The caller's first choice of G.711, and a tone is the same tone at both ends."""

    async def talk(kind: int, *formats: str) -> None:
        async with media_call(site, number(), formats) as call:
            for heard in await both_ways(call, 1004.0, kind=kind):
                assert_is(heard, 1004.0)
            assert {one.packet.payload_type for one in call.audio()} == {kind}

    await asyncio.gather(
        talk(0, "0"),
        talk(8, "8"),
        talk(8, "8", "0"),
        talk(0, "9 G722/8000", "0 PCMU/8000", "8 PCMA/8000"),
    )


async def test_the_law_may_change_in_mid_call(site: Site) -> None:
    """Each packet says its own while both are agreed; a re-INVITE with one changes both ways."""
    async with media_call(site, number(), ("0", "8")) as call:
        assert_is((await both_ways(call, 700.0, kind=8))[0], 700.0)
        assert {one.packet.payload_type for one in call.audio()} == {0}
        answer = await call.phone.reinvite(offer(call.wire.port, ("8",)))
        assert answer.status == 200
        call.wire.heard.clear()
        for heard in await both_ways(call, 1500.0, kind=8):
            assert_is(heard, 1500.0)
        assert {one.packet.payload_type for one in call.audio()} == {8}


async def test_packets_are_as_long_as_the_phone_asks(site: Site) -> None:
    """10, 20, 30 and 40 ms, both ways, in step with the clock; a=maxptime is not looked at."""

    async def sizes(ptime: int, *lines: str) -> tuple[int, set[int], float]:
        async with media_call(site, number(), ("0",), *lines) as call:
            for heard in await both_ways(call, 1004.0, ptime=ptime):
                # Five calls at once: a hole that a busy machine makes is not what this is about.
                assert_is(heard, 1004.0, purity=10)
            came = call.audio()
            steps = {
                after.packet.timestamp - before.packet.timestamp & 0xFFFFFFFF
                for before, after in itertools.pairwise(came)
            }
            told = call.answer.packet_ms
            lengths = {len(one.packet.payload) for one in came}
            assert steps == lengths == {8 * told}
            return told, lengths, (came[-1].at - came[0].at) / (len(came) - 1)

    asked = (10, 20, 30, 40)
    *answered, limited = await asyncio.gather(
        *(sizes(one, f"a=ptime:{one}") for one in asked), sizes(20, "a=maxptime:10")
    )
    assert [one[0] for one in answered] == list(asked)
    assert limited[0] == 20
    for ptime, _, pace in answered:
        assert abs(pace * 1000 - ptime) < 0.05 * ptime


async def test_callers_hear_the_agents_consonants(site: Site) -> None:
    """At 3 kHz the agent is as loud as at 1 kHz."""
    async with media_call(site, number()) as call:
        for pitch in (1000.0, 3000.0):
            call.wire.heard.clear()
            await call.agent.say(tone(pitch, 700, level=_LEVEL))
            await asyncio.sleep(0.4)
            heard = tone_in(heard_by_phone(call))
            assert abs(heard.pitch - pitch) < 3
            assert abs(heard.level - _RMS) < 1


async def test_everybody_in_the_room_is_heard(site: Site) -> None:
    """Two who speak at one time are one stream to the caller, each with its own level."""
    async with media_call(site, number()) as call:
        guest, source = rtc.Room(), rtc.AudioSource(8000, 1, queue_size_ms=100)
        token = (
            api.AccessToken(site.access.api_key, site.access.api_secret.get_secret_value())
            .with_identity("guest")
            .with_grants(api.VideoGrants(room_join=True, room=call.agent.room.name))
        )
        await guest.connect(site.access.url, token.to_jwt())
        await guest.local_participant.publish_track(
            rtc.LocalAudioTrack.create_audio_track("guest", source)
        )
        other = replace(call.agent, room=guest, source=source)
        sounds = {700.0: call.agent, 1900.0: other}
        await asyncio.gather(
            *(one.say(tone(pitch, 1800, level=_LEVEL)) for pitch, one in sounds.items())
        )
        heard = heard_by_phone(call)
        await guest.disconnect()
        await source.aclose()
    loudest = max(range(0, len(heard) - 4000, 400), key=lambda at: float(np.var(heard[at:][:4000])))
    spectrum = np.abs(np.fft.rfft(heard[loudest:][:4000] * np.hanning(4000))) * 4 / 4000
    for pitch in sounds:
        level = 20 * math.log10(spectrum[round(pitch / 2)] / 32767)
        assert abs(level - _LEVEL) < 2
    gaps = {
        after.packet.sequence - before.packet.sequence & 0xFFFF
        for before, after in itertools.pairwise(call.audio())
    }
    assert gaps == {1}


async def test_phones_that_save_silence_are_silent(site: Site) -> None:
    """Comfort noise (RFC 3389) or nothing at all between words: every word, no noise between."""
    plan = packets(beats(2.0))
    loud = [one for one in plan if np.abs(linear(one.packet).astype(np.int32)).max() > 100]
    noise = [
        one
        if one in loud
        else replace(one, packet=replace(one.packet, payload_type=13, payload=b"\x20"))
        for one in plan
        if one in loud or one.packet.sequence % 10 == 0
    ]

    async def is_heard(sent: list[Timed], *formats: str) -> None:
        async with media_call(site, number(), formats) as call:
            begun = call.send(sent)
            await asyncio.sleep(2.5)
            assert max(delays(call.agent.heard, begun, 2.0)) < math.inf
            between = [
                np.abs(samples.astype(np.int32)).max()
                for at, samples in call.agent.heard
                if begun < at < begun + 0.5
            ]
            assert max(between) < 200

    await asyncio.gather(is_heard(noise, "0", "13 CN/8000"), is_heard(loud, "0", "13"))


async def test_sound_is_sent_where_the_sdp_says_and_taken_from_anywhere(site: Site) -> None:
    """A phone behind NAT that names its private address is heard and hears nothing."""
    async with media_call(site, number(), connection="10.255.255.1") as call:
        begun = call.send([replace(one, port=1) for one in packets(beats(1.5))])
        await call.agent.say(tone(700.0, 500))
        await asyncio.sleep(1.5)
        assert max(delays(call.agent.heard, begun, 1.5)) < math.inf
        assert not call.wire.heard


async def test_a_phone_that_only_sends_is_not_heard(site: Site) -> None:
    """By a=recvonly it hears; by a=sendonly, a call that begins on hold, it is not even heard."""

    async def sound(line: str) -> tuple[bool, bool]:
        async with media_call(site, number(), ("0",), line) as call:
            call.send(packets(beats(1.2)))
            await call.agent.say(tone(700.0, 1000))
            await asyncio.sleep(0.5)
            return call.agent.loudest > 2000, bool(call.audio())

    receiving, sending = await asyncio.gather(sound("a=recvonly"), sound("a=sendonly"))
    assert receiving == (False, True)
    assert sending == (False, False)
