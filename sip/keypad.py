"""Keys that the agent presses: published in the room, sent by the SIP side as RFC 4733 events."""

from __future__ import annotations

import logging
from typing import Final

from livekit import rtc

__all__ = ["DIGIT_CODES", "RoomKeypad", "UnseenKeypad"]

logger = logging.getLogger(__name__)

DIGIT_CODES: Final = {digit: code for code, digit in enumerate("0123456789*#ABCD")}
"""RFC 4733 section 3.2, table 3."""


class RoomKeypad:
    """Presses keys in the room of one call; the SIP side keeps their order and makes the pauses."""

    def __init__(self, room: rtc.Room) -> None:
        self._room = room

    async def press(self, keys: str) -> None:
        """Publish each key."""
        for key in keys:
            await self._room.local_participant.publish_dtmf(code=DIGIT_CODES[key], digit=key)


class UnseenKeypad:
    """Presses keys where nobody has a telephone: who types reads of them in the record."""

    async def press(self, keys: str) -> None:
        """Note how many."""
        logger.info("%d keys pressed", len(keys))
