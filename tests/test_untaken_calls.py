"""Calls behind livekit-sip, by the events of a real livekit-server: each leaves one record."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from livekit import api, rtc

from local.parts.livekit_server import Keys, livekit_server
from local.parts.part import running
from local.parts.ports import free_port
from local.parts.stack import Stack
from sip import server_events
from sip.inbound import JOURNAL_ATTRIBUTE
from tests.peers.calls import new_number, records, wait_for_record
from tests.peers.room_phone import RoomPhone, room_phone
from thirdring import AGENT_NAME
from thirdring.calls import EndReason
from thirdring.home import ATTRIBUTE, Home
from thirdring.journal import HandedOver, file_name, is_owned, read
from thirdring.store import open_store
from thirdring.store.history import Call, Selection, calls

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[1]


def phone(number: str, call_id: str, line: str = "+12025550142") -> dict[str, str]:
    """Return the attributes that livekit-sip gives a caller."""
    return {
        "sip.callID": call_id,
        "sip.callStatus": "ringing",
        "sip.phoneNumber": number,
        "sip.trunkPhoneNumber": line,
        "sip.trunkID": "ST_provider",
        "sip.ruleID": "SDR_provider",
    }


@dataclass
class Door:
    """livekit-server that tells a courier of its rooms, and a home for that courier."""

    home: Home
    environ: Mapping[str, str]

    @asynccontextmanager
    async def courier(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Run a courier; it is killed at the end, as by kill -9."""
        log = self.home.logs / "courier.log"
        log.parent.mkdir(exist_ok=True)
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-u", "ring.py", "courier"),
                cwd=ROOT,
                env={**os.environ, **self.environ},
                stdout=out,
                stderr=out,
            )
        try:
            async with asyncio.timeout(60):
                while b"courier ready" not in log.read_bytes():
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.02)
            yield process
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()

    def rings(self, call_id: str) -> AbstractAsyncContextManager[RoomPhone]:
        """Call in from a room of its own, without any agent."""
        attributes = phone("+12025550199", call_id)
        return room_phone(self.environ, call_id, attributes=attributes, metadata=None)

    @asynccontextmanager
    async def agent(self, room: str) -> AsyncIterator[rtc.Room]:
        """Let an agent into a room whose job keeps its journals in another home."""
        keys = (self.environ["LIVEKIT_API_KEY"], self.environ["LIVEKIT_API_SECRET"])
        grants = api.VideoGrants(
            room_join=True, room=room, agent=True, can_update_own_metadata=True
        )
        token = api.AccessToken(*keys).with_identity("agent-AJ_1").with_kind("agent")
        joined = rtc.Room()
        await joined.connect(
            self.environ["LIVEKIT_URL"],
            token.with_attributes({ATTRIBUTE: "f" * 32}).with_grants(grants).to_jwt(),
        )
        try:
            yield joined
        finally:
            await joined.disconnect()

    def journal(self, call_id: str) -> Path:
        return self.home.journals / file_name(call_id)

    async def held(self, call_id: str) -> None:
        """Wait until the courier holds the journal of a call."""
        async with asyncio.timeout(30):
            path = self.journal(call_id)
            while not (path.exists() and is_owned(path)):  # noqa: ASYNC110 - another process does
                await asyncio.sleep(0.02)

    async def record(self, call_id: str) -> Call:
        """Wait until there is a record of a call, and return what the store says of it."""
        async with asyncio.timeout(30):
            while call_id not in (found := await self.records()):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.05)
        return found[call_id]

    async def records(self) -> dict[str, Call]:
        if not self.home.store.exists():
            return {}
        async with open_store(self.home, {}) as store:
            return {call.call_id: call for call in await calls(store, Selection())}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    keys, port = Keys(), free_port()
    home = Home(tmp_path).made()
    url = f"http://127.0.0.1:{port}{server_events.PATH}"
    server = livekit_server(tmp_path / "livekit-server.log", keys, webhook=url)
    environ = {
        "LIVEKIT_URL": server.address,
        "LIVEKIT_API_KEY": keys.api_key,
        "LIVEKIT_API_SECRET": keys.api_secret,
        "THIRDRING_WEBHOOK_URL": "http://127.0.0.1:9/",
        "THIRDRING_WEBHOOK_SECRET": "whsec_" + "YWJj" * 8,
        "THIRDRING_HOME": str(home.root),
        server_events.PORT_VARIABLE: str(port),
    }
    async with running([server]):
        yield Door(home, environ)


async def test_a_courier_that_is_killed_loses_no_call(door: Door) -> None:
    """It holds what rings again, ends what is over, and finds who called meanwhile."""
    async with door.rings("SCL_stays"):
        async with door.courier(), door.rings("SCL_leaves"):
            await door.held("SCL_stays")
            await door.held("SCL_leaves")
        async with door.rings("SCL_comes"), door.courier():
            gone = await door.record("SCL_leaves")
            await door.held("SCL_comes")
            assert is_owned(door.journal("SCL_stays"))
        assert gone.reason == EndReason.ABANDONED
        async with door.courier():
            await door.record("SCL_comes")
            await door.held("SCL_stays")
            assert set(await door.records()) == {"SCL_leaves", "SCL_comes"}


async def test_a_room_that_an_operator_deletes_is_said_to_be(door: Door) -> None:
    """The reason with which the real server says that the caller is gone is understood."""
    keys = (door.environ["LIVEKIT_API_KEY"], door.environ["LIVEKIT_API_SECRET"])
    async with (
        door.courier(),
        door.rings("SCL_deleted"),
        api.LiveKitAPI(door.environ["LIVEKIT_URL"], *keys) as server,
    ):
        await door.held("SCL_deleted")
        await server.room.delete_room(api.DeleteRoomRequest(room="SCL_deleted"))
        assert (await door.record("SCL_deleted")).reason == EndReason.REMOVED


async def test_an_agent_of_another_home_says_whose_the_record_is(door: Door) -> None:
    """By what the real server tells of its leaving: the call of one that died before it had a
    journal leaves a record here, n=0 records of the other's."""
    async with door.courier():
        for call_id, said in ("SCL_kept", {JOURNAL_ATTRIBUTE: "f" * 32}), ("SCL_died", {}):
            async with door.rings(call_id):
                await door.held(call_id)
                async with door.agent(call_id) as agent:
                    await agent.local_participant.set_attributes(said)
            async with asyncio.timeout(30):
                while door.journal(call_id).exists():  # noqa: ASYNC110 - another process moves it
                    await asyncio.sleep(0.02)
        assert (await door.record("SCL_died")).reason == EndReason.ABANDONED
        assert set(await door.records()) == {"SCL_died"}


async def test_a_call_that_no_worker_takes_reaches_the_webhook(stack: Stack) -> None:
    """The real server's events are accepted: the record of a caller who gave up is delivered."""
    number = new_number()
    attributes = phone(number, "SCL_untaken", stack.number)
    async with room_phone(stack.environ, "untaken", attributes=attributes, metadata=None):
        journal = stack.home.journals / file_name("SCL_untaken")
        async with asyncio.timeout(30):
            while not journal.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
    record = await wait_for_record(stack, number)
    assert record.ending.reason is EndReason.ABANDONED
    assert record.ending.detail == "the caller left; no agent came"
    assert record.business == stack.settings.businesses[0].slug


async def test_a_call_that_the_worker_takes_has_one_journal_and_one_record(stack: Stack) -> None:
    """Opened as its phone rang, handed over, released at the first sound; n=0 second records."""
    number = new_number()
    attributes = phone(number, "SCL_taken", stack.number)
    name = file_name("SCL_taken")
    async with room_phone(stack.environ, "taken", attributes=attributes, metadata="") as called:
        journal, beside = (stack.home.journals / each for each in (name, f"{name}.ringing"))
        async with asyncio.timeout(30):
            while not journal.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
            while beside.exists():  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.02)
            await called.room.local_participant.set_attributes({"sip.callStatus": "active"})
            await called.sound.wait()
        (agent,) = called.room.remote_participants.values()
    assert agent.attributes[ATTRIBUTE] == agent.attributes[JOURNAL_ATTRIBUTE] == stack.home.id
    assert agent.attributes["lk.agent.name"] == AGENT_NAME
    assert (agent.name, agent.metadata, agent.identity[:9]) == ("", "", "agent-AJ_")
    record = await wait_for_record(stack, number)
    contents = read(stack.home.archive / name)
    assert contents.opened is not None
    assert contents.opened.writer is not None
    assert contents.opened.writer.role == "courier"
    assert [entry.kind for entry in contents.entries if isinstance(entry, HandedOver)]
    assert contents.job is not None
    assert len(records(stack, number)) == 1
    assert record.answered_at is not None
