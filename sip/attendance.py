"""Who is in the rooms of livekit-server, by its events and by what it says when it is asked."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import aiohttp
from livekit import api, rtc

from sip import inbound
from thirdring.calls import Leg
from thirdring.home import ATTRIBUTE

__all__ = ["OUT_OF_REACH", "Attendance", "is_agent", "is_call", "leg"]

OUT_OF_REACH: Final = (api.ServerError, aiohttp.ClientError, TimeoutError)
"""What is raised when livekit-server is not there or does not answer."""

_AGENT: Final = api.ParticipantInfo.Kind.AGENT
_SIP: Final = api.ParticipantInfo.Kind.SIP
# The SDK waits for its API's answers without limit.
_ANSWER: Final = 3.0
_MOST_ROOMS: Final = 1000
# That of `sip.gateway.invitation`, which cannot be had without the gateway's SIP library.
_GATEWAY_TRUNK: Final = "ST_gateway"


@dataclass
class _Agent:
    """One that came into a room.

    Attributes:
        home: Where its job keeps journals; None when it is none of ours.
        journal: Where its job has opened one; None before it has said so, if ever.
        has_left: For certain.
    """

    home: str | None
    journal: str | None = None
    has_track: bool = False
    has_left: bool = False


class Attendance:
    """Remembers which agents came into which room, and asks livekit-server.

    Also of rooms where no phone rings: the agent's event may come before the caller's.
    """

    def __init__(self, server: api.LiveKitAPI) -> None:
        self._server = server
        self._agents: OrderedDict[str, dict[str, _Agent]] = OrderedDict()

    def speaks_for(self, room: str, home: str) -> bool:
        """Whether an agent can be heard whose job keeps its journals in a home."""
        return any(
            one.has_track and one.home == home for one in self._agents.get(room, {}).values()
        )

    def journal_elsewhere(self, room: str, home: str) -> bool | None:
        """Whether a job has opened a journal in another home; None while one still may."""
        agents = self._agents.get(room, {}).values()
        if any(one.journal not in (None, home) for one in agents):
            return True
        silent = (one for one in agents if one.journal is None and one.home not in (None, home))
        return False if all(one.has_left for one in silent) else None

    def somebody_spoke(self, room: str) -> bool:
        """Whether any agent could be heard: it is then that livekit-sip answers the phone."""
        return any(agent.has_track for agent in self._agents.get(room, {}).values())

    def somebody_came(self, room: str) -> bool:
        """Whether any agent was in the room."""
        return bool(self._agents.get(room))

    def note(self, room: str, participants: Iterable[api.ParticipantInfo]) -> None:
        """Remember the agents among these."""
        for participant in filter(is_agent, participants):
            said = participant.attributes
            agents = self._agents.setdefault(room, {})
            agent = agents.setdefault(participant.identity, _Agent(said.get(ATTRIBUTE) or None))
            agent.journal = said.get(inbound.JOURNAL_ATTRIBUTE) or agent.journal
            agent.has_track = agent.has_track or bool(participant.tracks)
        while len(self._agents) > _MOST_ROOMS:
            self._agents.popitem(last=False)

    def note_left(self, room: str, participant: api.ParticipantInfo) -> None:
        """Remember that an agent has left, and what it had said until then."""
        self.note(room, [participant])
        self._agents[room][participant.identity].has_left = True

    def note_track(self, room: str, identity: str) -> bool:
        """Remember that somebody can be heard; False when it is no agent that we know."""
        agent = self._agents.get(room, {}).get(identity)
        if agent is None:
            return False
        agent.has_track = True
        return True

    def forget(self, room: str) -> None:
        """Forget a room that is over."""
        self._agents.pop(room, None)

    async def rooms(self) -> list[str]:
        """Return the names of all rooms.

        Raises:
            One of `OUT_OF_REACH`.
        """
        async with asyncio.timeout(_ANSWER):
            found = await self._server.room.list_rooms(api.ListRoomsRequest())
        return [room.name for room in found.rooms]

    async def look(self, room: str) -> list[api.ParticipantInfo]:
        """Return who is in a room now, and remember its agents; nobody when there is none.

        Raises:
            One of `OUT_OF_REACH`.
        """
        request = api.ListParticipantsRequest(room=room)
        try:
            async with asyncio.timeout(_ANSWER):
                found = await self._server.room.list_participants(request)
        except api.ServerError as error:
            if error.code != api.ServerErrorCode.NOT_FOUND:
                raise
            return []
        self.note(room, found.participants)
        return list(found.participants)


def is_agent(participant: api.ParticipantInfo) -> bool:
    """Whether this is an agent, ours or not."""
    return participant.kind == _AGENT


def is_call(participant: api.ParticipantInfo) -> bool:
    """Whether this is a caller whose SIP side is not our gateway, which keeps its own journals."""
    attributes = participant.attributes
    return (
        participant.kind == _SIP
        # Whom we have called came by no dispatch rule.
        and bool(attributes.get("sip.ruleID"))
        and attributes.get("sip.trunkID") != _GATEWAY_TRUNK
    )


def leg(participant: api.ParticipantInfo, room: str) -> Leg:
    """Return the leg that a caller is, the same as its job finds in the room."""
    return inbound.leg(_Caller(participant), room)


@dataclass(frozen=True)
class _Caller:
    """A caller as the API describes it, in the shape of a participant of a room."""

    of: api.ParticipantInfo

    @property
    def sid(self) -> str:
        return self.of.sid

    @property
    def identity(self) -> str:
        return self.of.identity

    @property
    def kind(self) -> rtc.ParticipantKind.ValueType:
        return rtc.ParticipantKind.PARTICIPANT_KIND_SIP

    @property
    def attributes(self) -> dict[str, str]:
        return dict(self.of.attributes)
