"""Posts events as livekit-server does: one JSON body, its hash signed with the server's key."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx
from google.protobuf.json_format import MessageToJson
from livekit import api

from thirdring.home import ATTRIBUTE

__all__ = ["Events", "agent", "caller", "token"]

_IDS = itertools.count(1)


def caller(call_id: str, *, line: str = "+12025550142", **attributes: str) -> api.ParticipantInfo:
    """Return a phone as livekit-sip brings it; `attributes` without their `sip.`."""
    said = {
        "callID": call_id,
        "callStatus": "ringing",
        "phoneNumber": "+12025550199",
        "trunkPhoneNumber": line,
        "trunkID": "ST_provider",
        "ruleID": "SDR_provider",
        **attributes,
    }
    return api.ParticipantInfo(
        sid=f"PA_{call_id}",
        identity="sip_+12025550199",
        kind=api.ParticipantInfo.Kind.SIP,
        joined_at=int(time.time()) + 1,
        attributes={f"sip.{name}": value for name, value in said.items()},
    )


def agent(home: str = "", *, tracks: int = 0) -> api.ParticipantInfo:
    """Return an agent that keeps its journals in a home, or none."""
    return api.ParticipantInfo(
        sid="PA_agent",
        identity="agent-AJ_1",
        kind=api.ParticipantInfo.Kind.AGENT,
        attributes={ATTRIBUTE: home} if home else {},
        tracks=[api.TrackInfo(sid=f"TR_{number}") for number in range(tracks)],
    )


def token(body: bytes, key: str, secret: str, *, validity: timedelta = timedelta(minutes=5)) -> str:
    """Return what livekit-server puts into the header `Authorization`."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return api.AccessToken(key, secret).with_ttl(validity).with_sha256(digest).to_jwt()


@dataclass(frozen=True)
class Events:
    """Tells a courier what happens in one room.

    Attributes:
        url: Where the courier listens.
    """

    url: str
    key: str
    secret: str = field(repr=False)
    room: str = "call-room"

    def of(self, room: str) -> Events:
        """Return the same for another room."""
        return replace(self, room=room)

    def event(
        self,
        name: str,
        participant: api.ParticipantInfo | None = None,
        *,
        event_id: str | None = None,
        age: float = 0,
    ) -> bytes:
        """Return the body of an event that is `age` seconds old."""
        event = api.WebhookEvent(
            event=name,
            id=event_id or f"EV_{next(_IDS)}",
            created_at=int(time.time() - age),
            room=api.Room(name=self.room, sid=f"RM_{self.room}"),
        )
        if participant is not None:
            event.participant.CopyFrom(participant)
        return MessageToJson(event, indent=None).encode()

    async def post(self, body: bytes, signed: str | None = None) -> int:
        """Send a body; return the status of the answer."""
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                self.url,
                content=body,
                headers={
                    "Content-Type": "application/webhook+json",
                    "Authorization": token(body, self.key, self.secret)
                    if signed is None
                    else signed,
                },
            )
        return answer.status_code

    async def tell(self, name: str, participant: api.ParticipantInfo | None = None) -> None:
        """Send a new event, which must be accepted."""
        status = await self.post(self.event(name, participant))
        assert status == 200, status
