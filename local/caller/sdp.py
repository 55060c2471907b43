"""The session descriptions of a phone call: one audio stream, G.711 and telephone events.

RFC 8866 for the format, RFC 3264 for offer and answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Final, Literal

from thirdring.errors import PhoneError

__all__ = [
    "EVENT_PAYLOAD_TYPE",
    "AudioAnswer",
    "Codec",
    "Direction",
    "SdpError",
    "audio_offer",
    "parse_answer",
]

EVENT_PAYLOAD_TYPE: Final = 101

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")


class SdpError(PhoneError):
    """The far end's session description cannot be used."""


class Codec(Enum):
    """G.711, with its static payload type (RFC 3551 table 4)."""

    PCMU = 0
    PCMA = 8


@dataclass(frozen=True)
class AudioAnswer:
    """Where and how the far end wants our audio.

    Attributes:
        codec: The first one that the far end named and we know.
        event_payload_type: Of telephone events; None when the far end takes none.
        packet_ms: Length of a packet (`a=ptime`), 20 unless said.
        direction: As the far end sees it.
    """

    address: str
    port: int
    codec: Codec
    event_payload_type: int | None
    packet_ms: int = 20
    direction: Direction = "sendrecv"


def audio_offer(
    address: str,
    port: int,
    *,
    session_id: int,
    version: int = 1,
    codecs: tuple[Codec, ...] = (Codec.PCMU, Codec.PCMA),
    direction: Direction = "sendrecv",
) -> bytes:
    """Return an offer (or an answer) of one audio stream at `address` and `port`."""
    family = "IP6" if ip_address(address).version == 6 else "IP4"
    types = " ".join(str(codec.value) for codec in codecs)
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN {family} {address}",
        "s=-",
        f"c=IN {family} {address}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {types} {EVENT_PAYLOAD_TYPE}",
        *(f"a=rtpmap:{codec.value} {codec.name}/8000" for codec in codecs),
        f"a=rtpmap:{EVENT_PAYLOAD_TYPE} telephone-event/8000",
        f"a=fmtp:{EVENT_PAYLOAD_TYPE} 0-16",
        "a=ptime:20",
        f"a={direction}",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def parse_answer(body: bytes) -> AudioAnswer:
    """Return what an answer (or an offer) says about its first audio stream.

    Raises:
        SdpError: There is no such stream, it was refused (port 0), or it has no G.711.
    """
    session, audio = _sections(body)
    if audio is None:
        raise SdpError("the SDP has no audio stream (m=audio)")
    port, types = _media_line(audio[0])
    if port == 0:
        raise SdpError("the far end refused the audio stream (m=audio 0)")
    codec = next((Codec(t) for t in types if t in {c.value for c in Codec}), None)
    if codec is None:
        raise SdpError(f"the far end takes no G.711, only payload types {types}")
    events = (t for t in types if "telephone-event" in _attribute(audio, f"rtpmap:{t} ").lower())
    ptime = _attribute(audio, "ptime:")
    return AudioAnswer(
        address=_connection(audio) or _connection(session) or _missing_address(),
        port=port,
        codec=codec,
        event_payload_type=next(events, None),
        packet_ms=int(ptime) if ptime.isascii() and ptime.isdigit() and int(ptime) else 20,
        direction=_direction(audio) or _direction(session) or "sendrecv",
    )


def _sections(body: bytes) -> tuple[list[str], list[str] | None]:
    """Return the lines of the session part and those of the first audio stream."""
    session: list[str] = []
    media: list[list[str]] = []
    for raw in body.decode("utf-8", "replace").splitlines():
        line = raw.strip()
        if line.startswith("m="):
            media.append([line])
        elif media:
            media[-1].append(line)
        else:
            session.append(line)
    return session, next((m for m in media if m[0].startswith("m=audio ")), None)


def _media_line(line: str) -> tuple[int, list[int]]:
    fields = line.removeprefix("m=").split()
    if len(fields) < 4 or fields[2].upper() != "RTP/AVP":
        raise SdpError(f"the far end's audio stream is not plain RTP: {line}")
    port = fields[1].split("/")[0]
    numbers = [port, *fields[3:]]
    if not all(n.isascii() and n.isdigit() and len(n) < 6 for n in numbers) or int(port) > 65535:
        raise SdpError(f"the far end's audio stream makes no sense: {line}")
    return int(port), [int(number) for number in fields[3:]]


def _attribute(lines: list[str], name: str) -> str:
    start = f"a={name}"
    return next((line[len(start) :].strip() for line in lines if line.startswith(start)), "")


def _direction(lines: list[str]) -> Direction | None:
    return next((d for d in _DIRECTIONS if f"a={d}" in lines), None)


def _connection(lines: list[str]) -> str | None:
    fields = next((line.split() for line in lines if line.startswith("c=")), None)
    if fields is None or len(fields) < 3:
        return None
    # A multicast address carries /ttl behind it; nothing else does.
    return fields[2].split("/")[0]


def _missing_address() -> str:
    raise SdpError("the SDP has no address (c=)")
