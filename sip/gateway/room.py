"""The room's side of one call: room, dispatch, participant, track, attributes, digits."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from livekit import api, rtc

from sip.gateway.audio import SAMPLE_RATE
from sip.gateway.invitation import CallStatus, Invitation
from sip.keypad import DIGIT_CODES
from thirdring import AGENT_NAME
from thirdring.access import LiveKitAccess
from thirdring.home import ATTRIBUTE

__all__ = ["CallRoom", "Rooms", "Unreachable"]

logger = logging.getLogger(__name__)

# The SDK's native threads call back once more when it disposes of them on exit, which comes before
# this, for it registers later. Were Python gone by then, they would abort the process.
atexit.register(time.sleep, 0.3)

Unreachable: Final = (rtc.ConnectError, api.ServerError, aiohttp.ClientError, TimeoutError)
"""What is raised when livekit-server is not there or does not want us."""

_AGENT: Final = rtc.ParticipantKind.PARTICIPANT_KIND_AGENT
_COMPANY: Final = (
    _AGENT,
    rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD,
    rtc.ParticipantKind.PARTICIPANT_KIND_SIP,
)
_LAST_WORD: Final = 0.5
# The SDK waits for its API's answers without limit, whatever `LiveKitAPI(timeout=...)` says.
_ANSWER: Final = 3.0
# The SDK tries to connect four times, 2 s each; the caller hears it ring meanwhile.
_JOIN: Final = 5.0


@dataclass(frozen=True)
class Rooms:
    """Where rooms are made.

    Attributes:
        server: The API of the server that `access` leads to.
        home: The id of the home that our journals are in.
    """

    access: LiveKitAccess
    server: api.LiveKitAPI
    home: str


class CallRoom:
    """Our participant in the room of one call.

    Attributes:
        room: The rtc room; its events are for the owner to listen to.
        source: What the caller says goes in here.
    """

    def __init__(self, rooms: Rooms, invitation: Invitation) -> None:
        self._access = rooms.access
        self._server = rooms.server
        self._home = rooms.home
        self._invitation = invitation
        self.room = rtc.Room()
        # No queue: 10 ms frames go straight to the encoder, 15 ms earlier on average.
        self.source = rtc.AudioSource(SAMPLE_RATE, 1, queue_size_ms=0)
        self._entering: asyncio.Future[None] | None = None

    async def join(self) -> None:
        """Make room and dispatch, join, and publish the caller's track.

        Raises:
            One of `Unreachable`.
        """
        # A connection that is abandoned half way completes in the SDK and leaves a ghost behind,
        # so it is always brought to its end; `settle` waits for that.
        self._entering = asyncio.ensure_future(self._enter())
        async with asyncio.timeout(_JOIN):
            await asyncio.shield(self._entering)
        track = rtc.LocalAudioTrack.create_audio_track(self._invitation.identity, self.source)
        await self.room.local_participant.publish_track(
            track,
            rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False),
        )

    async def _enter(self) -> None:
        # The room is made first, though joining could do that too: livekit-server then chooses a
        # worker while we connect, and the call is answered 25 ms earlier.
        request = api.CreateRoomRequest(
            name=self._invitation.room, agents=[api.RoomAgentDispatch(agent_name=AGENT_NAME)]
        )
        async with asyncio.timeout(_ANSWER):
            await self._server.room.create_room(request)
        options = rtc.RoomOptions(dynacast=False, connect_timeout=2)
        await self.room.connect(self._access.url, self._token(), options)

    def _token(self) -> str:
        invitation = self._invitation
        grants = api.VideoGrants(
            room_join=True,
            room=invitation.room,
            # Without it set_attributes returns normally and changes nothing.
            can_update_own_metadata=True,
        )
        return (
            api.AccessToken(self._access.api_key, self._access.api_secret.get_secret_value())
            .with_kind("sip")
            .with_identity(invitation.identity)
            .with_name(invitation.name)
            .with_attributes({**invitation.attributes(CallStatus.RINGING), ATTRIBUTE: self._home})
            .with_grants(grants)
            .to_jwt()
        )

    @property
    def has_agent(self) -> bool:
        """Whether an agent is in the room right now."""
        return bool(self.agents)

    @property
    def agents(self) -> frozenset[str]:
        """The sids of the agents that are in the room right now."""
        others = self.room.remote_participants.values()
        return frozenset(one.sid for one in others if one.kind == _AGENT)

    def has_company(self, *, without: frozenset[str]) -> bool:
        """Tell whether anybody to talk to is in the room: an agent, or a person after a transfer.

        Args:
            without: The sids of those who are only shown still.
        """
        others = self.room.remote_participants.values()
        return any(one.kind in _COMPANY and one.sid not in without for one in others)

    async def dispatch_again(self) -> None:
        """Ask for an agent once more, in place of the dispatch that nobody followed."""
        name = self._invitation.room
        dispatches = self._server.agent_dispatch
        async with asyncio.timeout(_ANSWER):
            for dispatch in await dispatches.list_dispatch(name):
                # Should its agent come after all, there would be two of them in the room.
                await dispatches.delete_dispatch(dispatch.id, name)
            await dispatches.create_dispatch(
                api.CreateAgentDispatchRequest(agent_name=AGENT_NAME, room=name)
            )

    async def tell(self, status: CallStatus, said: Mapping[str, str] | None = None) -> None:
        """Change `sip.callStatus`, and with it what else there is to say."""
        attributes = {"sip.callStatus": status.value, **(said or {})}
        await self.room.local_participant.set_attributes(attributes)

    async def press(self, digit: str) -> None:
        """Publish a digit that the caller pressed."""
        await self.room.local_participant.publish_dtmf(code=DIGIT_CODES[digit], digit=digit)

    async def settle(self) -> None:
        """Wait until the room is either connected or never will be; the SDK sets the limit."""
        if self._entering is not None:
            await asyncio.wait({self._entering})
            if not self._entering.cancelled():
                self._entering.exception()

    async def leave(self, said: Mapping[str, str] | None) -> None:
        """Leave as a client that hangs up does (CLIENT_INITIATED).

        Args:
            said: Goes with `hangup`; when None, nothing is said at all.
        """
        try:
            if self.room.isconnected():
                if said is not None:
                    # While the SDK reconnects nobody answers. Not to leave then would bring our
                    # participant back, without a caller, as soon as livekit-server is.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LAST_WORD):
                            await self.tell(CallStatus.HANGUP, said)
                await self.room.disconnect()
        finally:
            await self.source.aclose()

    async def delete(self) -> None:
        """Delete the room, so that nobody waits in it."""
        try:
            await self._server.room.delete_room(api.DeleteRoomRequest(room=self._invitation.room))
        except api.ServerError as error:
            if error.code != api.ServerErrorCode.NOT_FOUND:
                raise
