"""Offer and answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.caller.sdp import AudioAnswer, Codec, SdpError, audio_offer, parse_answer


@given(port=st.integers(1, 65535), codec=st.sampled_from(Codec))
def test_what_we_offer_we_can_read(port: int, codec: Codec) -> None:
    """Address, port, codec and telephone events survive."""
    offer = audio_offer("127.0.0.1", port, session_id=1, codecs=(codec,))
    assert parse_answer(offer) == AudioAnswer("127.0.0.1", port, codec, 101)


@given(body=st.binary(max_size=200))
def test_noise_is_an_sdp_error(body: bytes) -> None:
    """Whatever stands there, nothing else than SdpError is raised."""
    with pytest.raises(SdpError):
        parse_answer(b"v=0\r\n" + body)


ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\na=sendonly\r\n"
    "m=video 4000 RTP/AVP 99\r\nc=IN IP4 10.0.0.9\r\n"
    "m=audio 4002 RTP/AVP 9 8 0 96\r\nc=IN IP4 10.0.0.2\r\na=rtpmap:96 Telephone-Event/8000\r\n"
    "a=ptime:30\r\n"
)


def test_the_audio_stream_overrides_the_session() -> None:
    """The stream's own address counts; the first codec that we know is taken, others skipped."""
    expected = AudioAnswer("10.0.0.2", 4002, Codec.PCMA, 96, 30, "sendonly")
    assert parse_answer(ANSWER.encode()) == expected


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("m=audio 4002", "m=audio 0", "refused the audio"),
        ("RTP/AVP 9 8 0 96", "RTP/AVP 9 96", "no G.711"),
        ("RTP/AVP 9 8", "RTP/SAVP 9 8", "not plain RTP"),
        ("m=audio 4002", "m=audio many", "makes no sense"),
        ("m=audio", "m=text", "no audio stream"),
    ],
)
def test_an_answer_without_usable_audio_says_why(old: str, new: str, why: str) -> None:
    """Each way in which audio cannot work has its own message."""
    with pytest.raises(SdpError, match=why):
        parse_answer(ANSWER.replace(old, new).encode())
