"""The caller's side of a call that takes place in a LiveKit room."""

from __future__ import annotations

import asyncio
from typing import Final

from livekit import rtc
from livekit.agents import JobContext

from thirdring.fixed_lines import FixedLine, play_into_room
from thirdring.watching import ATTRIBUTE, Happening, HasEnded, IsRefused, Packets

__all__ = ["RoomEnd"]

_ROOM_TAKEN: Final = IsRefused(
    reason="room_taken", message="Another caller has this room already: take a new token."
)


class RoomEnd:
    """Speaks to the caller through the room, and shows a browser that watches what happens.

    Args:
        ctx: Its room is connected.
        identity: The caller's.
    """

    def __init__(self, ctx: JobContext, identity: str) -> None:
        self._ctx = ctx
        self._identity = identity
        self._others: set[Packets] = set()
        self._hanging_up: asyncio.Task[None] | None = None
        caller = ctx.room.remote_participants.get(identity)
        watches = caller is not None and _watches(caller)
        self._packets = Packets(ctx.room, identity) if watches else None
        ctx.room.on("participant_connected", self._turn_away)
        for participant in ctx.room.remote_participants.values():
            self._turn_away(participant)

    async def play(self, line: FixedLine) -> None:
        """Say a fixed line to the caller, but not to one who has read as much."""
        if self._packets is None or line is not FixedLine.NOT_IN_SERVICE:
            await play_into_room(self._ctx.room, line)

    def show(self, happening: Happening) -> None:
        """Show a happening to a caller who watches."""
        if self._packets is None:
            return
        if isinstance(happening, HasEnded):
            self._packets.farewell(happening)
        else:
            self._packets(happening)

    def hang_up(self) -> None:
        """Delete the room, once the caller has been shown why."""
        if self._packets is None:
            self._ctx.delete_room()
        elif self._hanging_up is None:
            self._hanging_up = asyncio.create_task(self.close())

    async def close(self) -> None:
        """Leave no room behind."""
        if self._packets is not None and self._identity in self._ctx.room.remote_participants:
            await self._packets.sent()
        await self._ctx.delete_room()

    def _turn_away(self, participant: rtc.RemoteParticipant) -> None:
        # Else a second page would sit in silence; it has no phone on which to hear why.
        if participant.identity != self._identity and _watches(participant):
            packets = Packets(self._ctx.room, participant.identity)
            self._others.add(packets)
            packets(_ROOM_TAKEN)


def _watches(participant: rtc.RemoteParticipant) -> bool:
    standard = participant.kind == rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
    return standard and participant.attributes.get(ATTRIBUTE) == "true"
