"""The keys that the far end presses, as they arrive (RFC 4733)."""

from __future__ import annotations

import asyncio

from local.caller.rtp import DIGITS, RtpPacket
from local.caller.sdp import EVENT_PAYLOAD_TYPE

__all__ = ["HeardKeys", "is_key"]


def is_key(packet: RtpPacket) -> bool:
    """Tell a packet of a pressed key from sound."""
    return packet.payload_type == EVENT_PAYLOAD_TYPE and len(packet.payload) >= 4


class HeardKeys:
    """Follows the far end's keys; fed packet by packet, in the event loop.

    Attributes:
        keys: All of them so far, in order.
    """

    def __init__(self) -> None:
        self.keys = ""
        self._taken = 0
        self._began: int | None = None
        self._changed = asyncio.Event()

    def feed(self, packet: RtpPacket) -> None:
        """Take the next packet of a key; all packets of one key share its timestamp."""
        code = packet.payload[0]
        if packet.timestamp == self._began or code >= len(DIGITS):
            return
        self._began = packet.timestamp
        self.keys += DIGITS[code]
        self._changed.set()

    @property
    def fresh(self) -> str:
        """Those that no `expect` has taken yet."""
        return self.keys[self._taken :]

    async def expect(self, keys: str) -> None:
        """Wait until as many have been pressed as these, and take them.

        Raises:
            ValueError: They were others.
        """
        while len(self.fresh) < len(keys):
            if not keys.startswith(self.fresh):
                break
            self._changed.clear()
            await self._changed.wait()
        pressed = self.fresh[: len(keys)]
        self._taken += len(pressed)
        if pressed != keys:
            raise ValueError(pressed)
