"""The RTP stream as a far end sees it, packet by packet."""

from __future__ import annotations

import asyncio
import itertools
import socket

from local.caller.media import MediaStream
from local.caller.rtp import RtpPacket, parse_rtp
from local.caller.sdp import AudioAnswer, Codec
from local.caller.voice import tone


async def packets_of(sock: socket.socket, count: int) -> list[RtpPacket]:
    """Return the next packets that arrive at `sock`."""
    loop = asyncio.get_running_loop()
    packets: list[RtpPacket] = []
    async with asyncio.timeout(10):
        while len(packets) < count:
            packet = parse_rtp(await loop.sock_recv(sock, 2048))
            assert packet is not None
            packets.append(packet)
    return packets


def listening() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def far_end(sock: socket.socket, *, keys: int | None = None) -> AudioAnswer:
    host, port = sock.getsockname()
    return AudioAnswer(host, port, Codec.PCMU, keys)


def steps(numbers: list[int]) -> set[int]:
    return {(after - before) % 2**32 for before, after in itertools.pairwise(numbers)}


async def test_a_key_has_one_timestamp_and_ends_three_times() -> None:
    """RFC 4733 on the wire: every packet its own sequence number, all the start's timestamp."""
    with listening() as sock:
        async with MediaStream("127.0.0.1", lambda packet: None) as media:
            media.start(far_end(sock, keys=101))
            media.press("5")
            packets = await packets_of(sock, 16)
    keys = [packet for packet in packets if packet.payload_type == 101]
    assert len({packet.timestamp for packet in keys}) == 1
    assert [packet.marker for packet in keys] == [True] + [False] * 7
    assert [packet.payload[1] >> 7 for packet in keys] == [0] * 5 + [1] * 3
    assert steps([packet.sequence for packet in packets]) == {1}
    audio = [packet.timestamp for packet in packets if packet.payload_type == 0]
    assert steps(audio) <= {160, 160 * 9}


async def test_silence_is_sent_while_the_caller_is_quiet() -> None:
    """Between sounds the stream goes on with 0xff, without a gap in its clock."""
    with listening() as sock:
        async with MediaStream("127.0.0.1", lambda packet: None) as media:
            media.start(far_end(sock))
            await media.play(tone(500, 60)).sent()
            packets = await packets_of(sock, 8)
    assert packets[0].marker
    assert steps([packet.timestamp for packet in packets]) == {160}
    assert packets[-1].payload == b"\xff" * 160


async def test_what_is_cut_off_is_never_sent() -> None:
    """`cut_off` drops the rest of a sound, and nobody waits for it any longer."""
    with listening() as sock:
        async with MediaStream("127.0.0.1", lambda packet: None) as media:
            media.start(far_end(sock))
            long = media.play(tone(500, 60_000))
            await packets_of(sock, 3)
            media.cut_off()
            packets = await packets_of(sock, 20)
    assert long.ended.cancelled()
    assert packets[-1].payload == b"\xff" * 160
