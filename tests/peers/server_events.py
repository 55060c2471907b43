"""Posts events as livekit-server does, one JSON body, its hash signed with the server's key.

And what listens for them in this process, and the records that follow.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx
from google.protobuf.json_format import MessageToJson
from livekit import api

from local.parts.ports import free_port
from sip import server_events
from sip.inbound import JOURNAL_ATTRIBUTE
from sip.ringing import Patience
from tests.samples import business
from thirdring.courier import service
from thirdring.home import ATTRIBUTE, Home
from thirdring.journal import Journal, file_name, read
from thirdring.record import Record
from thirdring.settings import Settings
from thirdring.store import open_store
from thirdring.store.history import Selection, bodies, calls

__all__ = ["NOBODY", "Events", "agent", "caller", "collected", "listening", "taken", "token"]

NOBODY = {
    "LIVEKIT_URL": "ws://127.0.0.1:1",
    "LIVEKIT_API_KEY": "tests",
    "LIVEKIT_API_SECRET": "0123456789" * 4,
}
"""A livekit-server that cannot be asked."""

_SETTINGS = Settings(businesses=(business(),))

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


def agent(home: str = "", *, tracks: int = 0, journal: bool = False) -> api.ParticipantInfo:
    """Return an agent that keeps its journals in a home, or none, and may have opened one."""
    said = {ATTRIBUTE: home, JOURNAL_ATTRIBUTE: home if journal else ""}
    return api.ParticipantInfo(
        sid="PA_agent",
        identity="agent-AJ_1",
        kind=api.ParticipantInfo.Kind.AGENT,
        attributes={name: value for name, value in said.items() if value},
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


@asynccontextmanager
async def listening(
    home: Home, environ: Mapping[str, str] = NOBODY, patience: Patience | None = None
) -> AsyncIterator[Events]:
    """Listen as a courier does, and look into the rooms of a livekit-server that sends nothing."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}{server_events.PATH}"
    moved = {**environ, server_events.PORT_VARIABLE: port}
    async with server_events.receiving(home, lambda: _SETTINGS, moved, patience=patience):
        yield Events(url, environ["LIVEKIT_API_KEY"], environ["LIVEKIT_API_SECRET"])


async def collected(home: Home) -> list[Record]:
    """Collect the journals that are finished; return all records there are."""
    await service.run(home, _SETTINGS, once=True)
    async with open_store(home, {}) as store:
        found = await calls(store, Selection())
        texts = await bodies(store, [call.call_id for call in found])
    return [Record.model_validate_json(texts[call.call_id]) for call in found]


def taken(home: Home, call_id: str) -> Journal:
    """Return the journal of a call that rings, once a job has it."""
    opened = read(home.journals / file_name(call_id)).opened
    assert opened is not None
    return Journal.take(home.journals, opened.model_copy(update={"job": "AJ_1", "writer": None}))
