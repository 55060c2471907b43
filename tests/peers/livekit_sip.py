"""Asks livekit-server what livekit-sip asks it about every call, in the same way: psrpc over Redis.

livekit-sip itself does not run on every machine, but it decides nothing about a call: it asks which
trunk and rule fit, and does as it is told (livekit/protocol, `rpc/io.proto`; psrpc,
`internal.proto` and `pkg/info/channels.go`). Of protobuf only what these messages need.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from livekit import api

__all__ = ["Admission", "Rejected", "admit"]

_SERVICE: Final = "IOInfo"
_METHOD: Final = "EvaluateSIPDispatchRules"
_PATIENCE: Final = 5.0
_ACCEPT: Final = 1

Fields = dict[int, list[bytes | int]]


class Rejected(Exception):
    """livekit-server answers with an error; the caller hears a refusal."""


@dataclass(frozen=True)
class Admission:
    """What is to become of a call; empty where nothing fits it, and it is dropped.

    Attributes:
        attributes: Those of the caller's participant.
    """

    accepted: bool
    room: str
    identity: str
    name: str
    attributes: dict[str, str]
    config: api.RoomConfiguration


async def admit(redis: tuple[str, int], *, caller: str, called: str, address: str) -> Admission:
    """Ask about an INVITE from `address`.

    Raises:
        Rejected: In the server's words.
    """
    client, request = f"CLI_{secrets.token_hex(6)}", secrets.token_hex(8)
    now = time.time_ns()
    call = _message({2: caller, 3: called, 4: address, 11: address})
    envelope = _message(
        {1: request, 2: client, 3: now, 4: now + int(_PATIENCE * 1e9), 8: call},
    )
    async with asyncio.timeout(_PATIENCE):
        listening, speaking = await _Redis.open(redis), await _Redis.open(redis)
        try:
            claims, answers = f"{_SERVICE}|{client}|CLAIM", f"{_SERVICE}|{client}|RES"
            await listening.send("SUBSCRIBE", claims, answers)
            # One confirmation for each channel.
            await listening.receive()
            await listening.receive()
            await speaking.publish(f"{_SERVICE}|{_METHOD}|REQ", "internal.Request", envelope)
            while True:
                _, channel, data = await listening.receive()
                body = _fields(_text(_fields(data), 2))
                if channel.decode() == answers:
                    return _admission(body)
                claim = _message({1: request, 2: _text(body, 2)})
                await speaking.publish(
                    f"{_SERVICE}|{_METHOD}|RCLAIM", "internal.ClaimResponse", claim
                )
        finally:
            await listening.close()
            await speaking.close()


def _admission(body: Fields) -> Admission:
    if error := _text(body, 5):
        raise Rejected(error.decode())
    answer = _fields(_text(body, 7))
    pairs = (_fields(pair) for pair in answer.get(11, []) if isinstance(pair, bytes))
    return Admission(
        accepted=answer.get(6) == [_ACCEPT],
        room=_text(answer, 1).decode(),
        identity=_text(answer, 2).decode(),
        name=_text(answer, 7).decode(),
        attributes={_text(pair, 1).decode(): _text(pair, 2).decode() for pair in pairs},
        config=api.RoomConfiguration.FromString(_text(answer, 21)),
    )


class _Redis:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: tuple[str, int]) -> _Redis:
        return cls(*await asyncio.open_connection(*address))

    async def send(self, *words: str | bytes) -> None:
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        self._writer.write(b"*%d\r\n" % len(parts))
        self._writer.writelines(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
        await self._writer.drain()

    async def publish(self, channel: str, kind: str, body: bytes) -> None:
        message = _message({1: f"type.googleapis.com/{kind}", 2: body})
        await self.send("PUBLISH", channel, message)
        assert int((await self._reader.readline())[1:]) > 0, f"nobody listens at {channel}"

    async def receive(self) -> list[bytes]:
        """Return one array of a subscription; a count is given as its digits."""
        parts = []
        for _ in range(int((await self._reader.readline())[1:])):
            head = await self._reader.readline()
            if head.startswith(b"$"):
                parts.append((await self._reader.readexactly(int(head[1:]) + 2))[:-2])
            else:
                parts.append(head[1:-2])
        return parts

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def _message(fields: Mapping[int, str | bytes | int]) -> bytes:
    """Return a protobuf message of texts and whole numbers."""
    encoded = b""
    for number, value in fields.items():
        if isinstance(value, int):
            encoded += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            encoded += _varint(number << 3 | 2) + _varint(len(data)) + data
    return encoded


def _varint(value: int) -> bytes:
    encoded = b""
    while value > 127:
        encoded += bytes([value & 127 | 128])
        value >>= 7
    return encoded + bytes([value])


def _fields(data: bytes) -> Fields:
    """Return each field's values by number; whole numbers as such, the rest as bytes."""
    found: Fields = {}
    position = iter(data)
    for key in position:
        tag = _number(key, position)
        if tag & 7 == 0:
            value: bytes | int = _number(next(position), position)
        else:
            sizes = {1: 8, 5: 4}
            size = sizes.get(tag & 7) or _number(next(position), position)
            value = bytes(next(position) for _ in range(size))
        found.setdefault(tag >> 3, []).append(value)
    return found


def _number(first: int, rest: Iterator[int]) -> int:
    value, shift, byte = first & 127, 7, first
    while byte & 128:
        byte = next(rest)
        value, shift = value | (byte & 127) << shift, shift + 7
    return value


def _text(fields: Fields, number: int) -> bytes:
    value = fields.get(number, [b""])[-1]
    assert isinstance(value, bytes)
    return value
