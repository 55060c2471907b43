"""What the courier knows of calls that ring when events are lost, and after it was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from livekit import api, rtc

from sip.inbound import JOURNAL_ATTRIBUTE
from sip.ringing import Patience
from tests.peers.room_phone import room_phone
from tests.peers.server_events import agent, caller, collected, listening, taken
from thirdring.access import LiveKitAccess
from thirdring.calls import EndReason
from thirdring.home import ATTRIBUTE, Home
from thirdring.journal import file_name, is_owned, read

QUICK = Patience(start=0.05, look=0.05, settled=0.2, silence=0.2)
PHONE = dict(caller("SCL_1").attributes)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).made()


def journal(home: Home) -> Path:
    return home.journals / file_name("SCL_1")


async def until_held(home: Home, held: bool) -> None:
    async with asyncio.timeout(20):
        while (journal(home).exists() and is_owned(journal(home))) is not held:  # noqa: ASYNC110 - a thread does it
            await asyncio.sleep(0.02)


@asynccontextmanager
async def speaking(access: LiveKitAccess, room: str, home_id: str) -> AsyncIterator[None]:
    """Let an agent into a room that keeps its journals in a home, and give it a voice."""
    token = (
        api.AccessToken(access.api_key, access.api_secret.get_secret_value())
        .with_identity("agent-AJ_1")
        .with_kind("agent")
        .with_attributes({ATTRIBUTE: home_id, JOURNAL_ATTRIBUTE: home_id})
        .with_grants(api.VideoGrants(room_join=True, room=room, agent=True))
        .to_jwt()
    )
    joined, source = rtc.Room(), rtc.AudioSource(8000, 1)
    await joined.connect(access.url, token)
    try:
        track = rtc.LocalAudioTrack.create_audio_track("agent", source)
        await joined.local_participant.publish_track(track)
        yield
    finally:
        await joined.disconnect()
        await source.aclose()


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_successor_goes_on(home: Home, meanwhile: bool) -> None:
    """It holds what was held, an event that comes again opens nothing; n=0 second records.

    Whoever collects journals meanwhile makes the record, and that one stays.
    """
    async with listening(home) as events:
        await events.tell("participant_joined", caller("SCL_1"))
    if meanwhile:
        assert len(await collected(home)) == 1
    async with listening(home) as events:
        assert journal(home).exists() is not meanwhile
        await events.tell("participant_joined", caller("SCL_1"))
        await events.tell("participant_left", caller("SCL_1", callStatus="hangup"))
        (record,) = await collected(home)
    expected = EndReason.INTERRUPTED if meanwhile else EndReason.ABANDONED
    assert record.ending.reason is expected


async def test_a_job_that_came_while_nobody_listened_keeps_the_call(home: Home) -> None:
    """The successor holds nothing that a job has taken."""
    async with listening(home) as events:
        await events.tell("participant_joined", caller("SCL_1"))
    job = taken(home, "SCL_1")
    async with listening(home) as events:
        await events.tell("participant_left", caller("SCL_1"))
        assert not read(journal(home)).ended
    await job.close()


async def test_an_agent_of_another_home_of_which_nothing_more_is_heard_has_the_call(
    home: Home,
) -> None:
    """Where the event of its leaving was lost it may have a journal: n=0 second records."""
    async with listening(home) as events:
        await events.tell("participant_joined", caller("SCL_1"))
        await events.tell("participant_joined", agent("f" * 32))
        await events.tell("participant_left", caller("SCL_1"))
        await events.tell("room_finished")
        assert await collected(home) == []
        assert list(home.journals.iterdir()) == []


async def test_a_server_that_is_gone_for_long_ends_the_call(home: Home) -> None:
    """What rang there is over, as far as anybody can know; its record says so."""
    async with listening(home, patience=QUICK) as events:
        await events.tell("participant_joined", caller("SCL_1"))
        async with asyncio.timeout(20):
            while not read(journal(home)).ended:  # noqa: ASYNC110 - a thread does it
                await asyncio.sleep(0.02)
        await events.tell("participant_left", caller("SCL_1"))
        (record,) = await collected(home)
    assert record.ending.reason is EndReason.INTERRUPTED
    assert record.ending.detail is not None
    assert record.ending.detail.startswith("livekit-server could not be asked any more")


@pytest.mark.server
async def test_without_any_event_the_rooms_are_asked(home: Home, livekit: dict[str, str]) -> None:
    """Who is there at the start is found, and whoever leaves then is missed."""
    async with (
        room_phone(livekit, "no-events", attributes=PHONE, metadata=None) as phone,
        listening(home, livekit, QUICK),
    ):
        await until_held(home, True)
        await phone.room.disconnect()
        await until_held(home, False)
    (record,) = await collected(home)
    assert record.ending.reason is EndReason.ABANDONED
    assert record.ending.detail == "the caller left, and it was noticed late; no agent came"


@pytest.mark.server
@pytest.mark.parametrize("ours", [True, False], ids=["this home", "another home"])
async def test_without_any_event_an_agent_is_found(
    home: Home, livekit: dict[str, str], access: LiveKitAccess, ours: bool
) -> None:
    """It says where its journal is: the call is left to the job here, or to that home."""
    room = f"no-events-{ours}"
    async with (
        room_phone(livekit, room, attributes=PHONE, metadata=None),
        listening(home, livekit, QUICK),
    ):
        await until_held(home, True)
        job = taken(home, "SCL_1") if ours else None
        async with speaking(access, room, home.id if ours else "f" * 32):
            beside = home.journals / f"{journal(home).name}.ringing"
            async with asyncio.timeout(20):
                while beside.exists():  # noqa: ASYNC110 - a thread does it
                    await asyncio.sleep(0.02)
        if job is not None:
            await job.close()
    contents = read(journal(home))
    assert (contents.job is not None, contents.elsewhere) == (ours, not ours)
    assert len(await collected(home)) == ours


@pytest.mark.server
async def test_an_agent_of_another_home_that_is_gone_without_an_event_has_the_call(
    home: Home, livekit: dict[str, str]
) -> None:
    """Nobody is in the room any more: what became of its journal is for that home to say."""
    room = "no-farewell"
    async with (
        room_phone(livekit, room, attributes=PHONE, metadata=None) as phone,
        listening(home, livekit, QUICK) as events,
    ):
        await until_held(home, True)
        await events.of(room).tell("participant_joined", agent("f" * 32))
        await phone.room.disconnect()
        await until_held(home, False)
    assert read(journal(home)).elsewhere
    assert await collected(home) == []
