"""Who comes into a room, and what is reported of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from livekit import api, rtc

from sip.caller import CallerEvents, arrival, follow
from tests.peers.room_phone import RoomPhone, room_phone
from tests.peers.whole_call import PHONE
from thirdring.calls import EndReason

pytestmark = pytest.mark.server

HANG = 20.0
DIGITS = {"1": 1, "#": 11}


@asynccontextmanager
async def joined(
    livekit: Mapping[str, str], name: str, kind: str, *, identity: str | None = None
) -> AsyncIterator[rtc.Room]:
    """Join the room `name` as somebody of this kind, called as the kind is."""
    token = (
        api.AccessToken(livekit["LIVEKIT_API_KEY"], livekit["LIVEKIT_API_SECRET"])
        .with_identity(identity or kind)
        .with_kind(kind)  # type: ignore[arg-type]  # one of its literals
        .with_grants(api.VideoGrants(room_join=True, room=name))
        .to_jwt()
    )
    room = rtc.Room()
    await room.connect(livekit["LIVEKIT_URL"], token)
    source = rtc.AudioSource(48000, 1)
    if kind != "agent":
        # Whoever publishes nothing is shown to the others 3 s later.
        microphone = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        await room.local_participant.publish_track(microphone)
    try:
        yield room
    finally:
        await room.disconnect()
        await source.aclose()


@dataclass
class Reports:
    """What was reported, in order; `came` tells of each."""

    seen: list[object] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, what: object) -> None:
        self.seen.append(what)
        self.came.set()

    async def until(self, *expected: object) -> None:
        """Wait until exactly this was reported."""
        async with asyncio.timeout(HANG):
            while len(self.seen) < len(expected):
                self.came.clear()
                await self.came.wait()
        assert self.seen == list(expected)

    @property
    def events(self) -> CallerEvents:
        return CallerEvents(
            lambda: self.note("answered"), self.note, lambda reason, _: self.note(reason)
        )


@pytest.fixture
async def agent(livekit: dict[str, str], request: pytest.FixtureRequest) -> AsyncIterator[rtc.Room]:
    """Return the agent's side of the room that is named after the test."""
    async with joined(livekit, request.node.name, "agent") as room:
        yield room


@pytest.fixture
async def phone(livekit: dict[str, str], agent: rtc.Room) -> AsyncIterator[RoomPhone]:
    """Return a phone that rings in the same room."""
    async with room_phone(livekit, agent.name, attributes=PHONE, metadata="") as ringing:
        yield ringing


@pytest.fixture
async def reports(agent: rtc.Room, phone: RoomPhone) -> Reports:
    """Follow the phone."""
    reported = Reports()
    follow(agent, await arrival(agent, timeout=HANG), reported.events)
    return reported


async def active(phone: RoomPhone) -> None:
    await phone.room.local_participant.set_attributes({"sip.callStatus": "active"})


async def test_who_is_there_already_is_found(agent: rtc.Room, phone: RoomPhone) -> None:
    """The caller is usually in the room before the agent."""
    first = await arrival(agent, timeout=HANG)
    assert (await arrival(agent, timeout=HANG)).identity == first.identity == "sip_caller"


async def test_who_comes_later_is_waited_for(livekit: dict[str, str], agent: rtc.Room) -> None:
    """Other agents are no callers, a person with a browser is one."""
    coming = asyncio.create_task(arrival(agent, timeout=HANG))
    async with joined(livekit, agent.name, "egress"), joined(livekit, agent.name, "standard"):
        assert (await coming).identity == "standard"


async def test_a_phone_is_the_caller_whoever_was_first(
    livekit: dict[str, str], agent: rtc.Room
) -> None:
    """Somebody who watches from a browser is not taken for it, nor missed when they leave."""
    reported = Reports()
    async with joined(livekit, agent.name, "standard"):
        assert (await arrival(agent, timeout=HANG)).identity == "standard"
        async with joined(livekit, agent.name, "sip"):
            async with asyncio.timeout(HANG):
                while "sip" not in agent.remote_participants:  # noqa: ASYNC110 - the server decides
                    await asyncio.sleep(0.02)
            found = await arrival(agent, timeout=HANG)
            assert found.identity == "sip"
            follow(agent, found, reported.events)
    await reported.until(EndReason.ABANDONED)


async def test_of_two_browsers_the_first_is_the_caller(
    livekit: dict[str, str], agent: rtc.Room
) -> None:
    """The order of joining decides, not that of names."""
    async with joined(livekit, agent.name, "standard", identity="z"):
        await arrival(agent, timeout=HANG)
        async with joined(livekit, agent.name, "standard", identity="a"):
            async with asyncio.timeout(HANG):
                while len(agent.remote_participants) < 2:  # noqa: ASYNC110 - the server decides
                    await asyncio.sleep(0.02)
            assert (await arrival(agent, timeout=HANG)).identity == "z"


async def test_whose_place_is_taken_was_removed(livekit: dict[str, str], agent: rtc.Room) -> None:
    """A second page with the same token throws the first one out; that is no hang-up."""
    reported = Reports()
    async with joined(livekit, agent.name, "standard"):
        follow(agent, await arrival(agent, timeout=HANG), reported.events)
        async with joined(livekit, agent.name, "standard"):
            await reported.until("answered", EndReason.REMOVED)


async def test_a_room_that_goes_ends_the_wait(livekit: dict[str, str], agent: rtc.Room) -> None:
    """Nobody can come into it any more."""
    waiting = asyncio.create_task(arrival(agent, timeout=HANG * 5))
    await asyncio.sleep(0)  # it listens now
    async with api.LiveKitAPI() as server:
        await server.room.delete_room(api.DeleteRoomRequest(room=agent.name))
    with pytest.raises(TimeoutError, match="the room has gone"):
        await asyncio.wait_for(waiting, HANG)


async def test_nobody_is_awaited_in_a_room_that_went_before(agent: rtc.Room) -> None:
    """Nothing tells of its end any more, and a job that waited would hold its slot."""
    await agent.disconnect()
    with pytest.raises(TimeoutError, match="the room has gone"):
        await asyncio.wait_for(arrival(agent, timeout=HANG * 5), HANG)


async def test_nobody_comes(agent: rtc.Room) -> None:
    """The wait has an end, and leaves nothing behind in the room."""
    with pytest.raises(TimeoutError):
        await arrival(agent, timeout=0.05)


async def test_a_phone_is_answered_once(phone: RoomPhone, reports: Reports) -> None:
    """`active` opens the line; what changes later does not open it again."""
    assert reports.seen == []
    await phone.room.local_participant.set_attributes({"sip.callStatus": "dialing"})
    await active(phone)
    await reports.until("answered")
    await phone.room.local_participant.set_attributes({"sip.callStatus": "active", "x": "1"})
    await phone.room.local_participant.publish_dtmf(code=1, digit="1")
    await reports.until("answered", "1")


async def test_a_browser_hears_at_once(livekit: dict[str, str], agent: rtc.Room) -> None:
    """It has nothing that rings."""
    reported = Reports()
    async with joined(livekit, agent.name, "standard"):
        follow(agent, await arrival(agent, timeout=HANG), reported.events)
        assert reported.seen == ["answered"]


async def test_keys_of_others_do_not_count(
    livekit: dict[str, str], phone: RoomPhone, reports: Reports
) -> None:
    """Only the caller's own keys are reported."""
    async with joined(livekit, phone.room.name, "standard") as other:
        await other.local_participant.publish_dtmf(code=2, digit="2")
        for digit, code in DIGITS.items():
            await phone.room.local_participant.publish_dtmf(code=code, digit=digit)
        await reports.until("1", "#")


async def test_leaving_after_the_answer_is_hanging_up(phone: RoomPhone, reports: Reports) -> None:
    """The reason is told once."""
    await active(phone)
    await reports.until("answered")
    await phone.room.disconnect()
    await reports.until("answered", EndReason.CALLER_HUNG_UP)


async def test_leaving_before_the_answer_is_abandoning(phone: RoomPhone, reports: Reports) -> None:
    """A phone that stops ringing was never answered."""
    await phone.room.disconnect()
    await reports.until(EndReason.ABANDONED)


async def test_hangup_ends_the_call_before_the_phone_has_left(
    phone: RoomPhone, reports: Reports
) -> None:
    """Either SIP side says so first; that it then leaves is told no more."""
    await active(phone)
    await phone.room.local_participant.set_attributes({"sip.callStatus": "hangup"})
    await reports.until("answered", EndReason.CALLER_HUNG_UP)
    await phone.room.disconnect()
    await reports.until("answered", EndReason.CALLER_HUNG_UP)


async def test_the_gateway_knows_better_why_it_leaves(phone: RoomPhone, reports: Reports) -> None:
    """Its word counts, not that it left as for a hang-up."""
    await active(phone)
    said = {"sip.callStatus": "hangup", "thirdring.ending": "media_timeout no RTP"}
    await phone.room.local_participant.set_attributes(said)
    await reports.until("answered", EndReason.MEDIA_TIMEOUT)


async def test_others_may_leave(
    livekit: dict[str, str], phone: RoomPhone, reports: Reports
) -> None:
    """A listener who goes does not end the call."""
    async with joined(livekit, phone.room.name, "standard"):
        pass
    await active(phone)
    await reports.until("answered")


async def test_a_deleted_room_is_reported_once(
    livekit: dict[str, str], phone: RoomPhone, reports: Reports
) -> None:
    """The agent loses caller and room at the same time."""
    await active(phone)
    await reports.until("answered")
    async with api.LiveKitAPI() as server:
        await server.room.delete_room(api.DeleteRoomRequest(room=phone.room.name))
    await asyncio.wait_for(phone.gone, HANG)
    await reports.until("answered", EndReason.REMOVED)
