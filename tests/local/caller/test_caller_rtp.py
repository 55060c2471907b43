"""RTP packets and telephone events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.caller.rtp import RtpPacket, digit_payloads, extended_sequences, parse_rtp

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 63),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=320),
    marker=st.booleans(),
)


@given(packet=packets)
def test_packets_survive_the_wire(packet: RtpPacket) -> None:
    """A packet parses to what was written."""
    assert parse_rtp(packet.to_bytes()) == packet


@given(data=st.binary(max_size=64))
def test_noise_is_no_error(data: bytes) -> None:
    """Whatever arrives is a packet or nothing."""
    packet = parse_rtp(data)
    assert packet is None or len(packet.payload) <= len(data) - 12


def test_padding_extension_and_sources_are_left_out() -> None:
    """Only the payload is audio."""
    head = bytes([0x80 | 0x20 | 0x10 | 1, 0]) + bytes(10)
    extension = bytes([0, 0, 0, 1]) + b"EXT!"
    packet = parse_rtp(head + b"CSRC" + extension + b"audio" + bytes([0, 0, 3]))
    assert packet is not None
    assert packet.payload == b"audio"


def test_rtcp_is_not_audio() -> None:
    """A sender report on the same port is no packet."""
    assert parse_rtp(bytes([0x80, 200]) + bytes(26)) is None


def test_a_key_ends_three_times() -> None:
    """RFC 4733: the duration grows with each packet; the last one comes three times, marked E."""
    payloads = list(digit_payloads("#"))
    assert [payload[0] for payload in payloads] == [11] * 8
    assert [payload[1] >> 7 for payload in payloads] == [0] * 5 + [1] * 3
    durations = [int.from_bytes(payload[2:]) for payload in payloads]
    assert durations == [160, 320, 480, 640, 800, 800, 800, 800]


@given(start=st.integers(0, 0xFFFF), count=st.integers(1, 500))
def test_sequence_numbers_wrap_around(start: int, count: int) -> None:
    """65535 is followed by 0, and the count goes on."""
    sequences = [(start + number) % 0x10000 for number in range(count)]
    assert extended_sequences(sequences) == list(range(start, start + count))


def test_a_late_packet_keeps_its_place() -> None:
    """A packet from before the wrap-around that comes after it is still before."""
    assert extended_sequences([65534, 0, 65535, 1]) == [65534, 65536, 65535, 65537]
