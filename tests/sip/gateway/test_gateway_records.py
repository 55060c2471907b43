"""Every call that reached a line leaves one journal with the right end, without any job too."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NoReturn

import baresip
import pytest
from livekit import api, rtc
from pydantic import SecretStr

from sip.gateway import Patience
from sip.gateway.trace import InviteTrace, Origin
from tests.parity.gateway_process import spawned_gateway
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.ledger import journals, opened_in, record_of
from tests.sip.gateway.room_side import agent_for, room_of
from tests.sip.gateway.sip_phone import calling_from
from thirdring.access import LiveKitAccess
from thirdring.calls import EndedBy, EndReason
from thirdring.home import Home
from thirdring.journal import Elsewhere, Opened, Ringing
from thirdring.journal.locks import Lock
from thirdring.record import build

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]

_BURST = 20


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_call_that_no_agent_took_says_whose_it_was(
    run_gateway: RunGateway, home: Home
) -> None:
    """Business, line, workflow, caller and Call-ID are known from the INVITE on."""
    async with run_gateway(home=home, patience=Patience(agent=0.5)) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550160") as phone:
            phone.invite(LINE)
            assert (await phone.final()).status == 486
        record = await record_of(home)
    assert record.ending.reason is EndReason.REFUSED
    assert (record.ending.by, record.ending.detail) == (EndedBy.SYSTEM, "no agent came")
    assert (record.business, record.line) == ("clinic", LINE)
    assert (record.workflow, record.called_number) == ("patient_questions", LINE)
    assert (record.caller_number, record.sip_call_id) == ("+12025550160", phone.call_id)
    assert (record.answered_at, record.duration_seconds) == (None, 0)


@pytest.mark.parametrize("room_there", [False, True], ids=["at once", "while it rings"])
async def test_a_caller_who_gives_up_leaves_a_record(
    run_gateway: RunGateway, server: api.LiveKitAPI, home: Home, *, room_there: bool
) -> None:
    """CANCEL right behind the INVITE, and once there is a room."""
    async with run_gateway(home=home) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550161") as phone:
            phone.invite(LINE)
            if room_there:
                await room_of(server, phone.caller)
            phone.cancel()
            assert (await phone.final()).status == 487
        record = await record_of(home)
    assert record.ending.reason is EndReason.ABANDONED
    assert (record.ending.by, record.ending.detail) == (EndedBy.CALLER, None)


async def test_a_call_that_comes_while_the_gateway_starts_leaves_a_record(
    run_gateway: RunGateway, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack lets it ring as soon as it knows the number, before we know of that."""
    create = baresip.UserAgent.create
    rings = asyncio.Event()

    async with AsyncExitStack() as phones:

        async def create_and_be_called(
            runtime: baresip.Runtime, account: baresip.Account, *, transfer_policy: str
        ) -> baresip.UserAgent:
            agent = await create(runtime, account, transfer_policy=transfer_policy)
            if not rings.is_set():
                host, _, port = str(account.domain).rpartition(":")
                call = calling_from("127.0.0.1", (host, int(port)), caller="+12025550171")
                phone = await phones.enter_async_context(call)
                phone.invite(LINE)
                await phone.until(180)
                rings.set()
            return agent

        monkeypatch.setattr(baresip.UserAgent, "create", create_and_be_called)
        async with run_gateway(home=home, patience=Patience(agent=0.5)):
            record = await record_of(home)
    assert rings.is_set()
    assert record.ending.detail == "no agent came"
    assert (record.line, record.caller_number) == (LINE, "+12025550171")


async def test_a_call_that_livekit_server_does_not_serve_is_refused_in_its_record(
    run_gateway: RunGateway, home: Home
) -> None:
    """The detail says who would not."""
    away = LiveKitAccess(url="ws://127.0.0.1:9", api_key="k", api_secret=SecretStr("s" * 32))
    async with run_gateway(access=away, home=home) as address:
        async with calling_from("127.0.0.1", (address.host, address.port)) as phone:
            phone.invite(LINE)
            await phone.final()
        record = await record_of(home)
    assert record.ending.reason is EndReason.REFUSED
    assert record.ending.detail == "livekit-server does not serve the call"


async def test_calls_beyond_the_limit_leave_records_too(
    run_gateway: RunGateway, home: Home
) -> None:
    """Of 20 INVITEs at once to a gateway of 2 lines 18 are refused; each of the 20 is on record."""
    async with AsyncExitStack() as phones:
        patience = Patience(agent=1)
        async with run_gateway(home=home, max_calls=2, patience=patience) as address:
            gateway = (address.host, address.port)
            all_of_them = [
                await phones.enter_async_context(
                    calling_from("127.0.0.1", gateway, caller=f"+120255501{number:02d}")
                )
                for number in range(_BURST)
            ]
            for phone in all_of_them:
                phone.invite(LINE)
            statuses = [(await phone.final()).status for phone in all_of_them]
        records = [build(contents.entries) for contents in journals(home)]
    assert statuses == [486] * _BURST
    assert len({record.sip_call_id for record in records}) == len(records) == _BURST
    details = [record.ending.detail for record in records]
    assert {record.ending.reason for record in records} == {EndReason.REFUSED}
    assert details.count("all 2 lines are busy") == _BURST - 2
    assert details.count("no agent came") == 2


async def test_a_call_from_elsewhere_has_reached_no_line(
    run_gateway: RunGateway, home: Home
) -> None:
    """What an address that is not allowed sends is logged, not recorded."""
    async with (
        run_gateway(home=home, allowed=("127.0.0.2/32",)) as address,
        calling_from("127.0.0.1", (address.host, address.port)) as phone,
    ):
        phone.invite(LINE)
        assert (await phone.final()).status == 486
    assert not list(home.journals.glob("*"))


@pytest.mark.parametrize("stopped", [False, True], ids=["killed", "stopped"])
async def test_a_gateway_that_goes_while_it_rings_leaves_a_record(
    access: LiveKitAccess, server: api.LiveKitAPI, home: Home, *, stopped: bool
) -> None:
    """Killed with -9, what it opened is the Courier's; stopped, it says so itself."""
    with spawned_gateway(access, home) as (address, process):
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550163") as phone:
            phone.invite(LINE)
            await room_of(server, phone.caller)
            await opened_in(home)
            if stopped:
                assert process.stdin is not None
                process.stdin.close()
            else:
                process.kill()
            record = await record_of(home)
        # The stack would wait for the end of its transaction, 5 s (RFC 3261 section 17.2.1).
        process.kill()
    if stopped:
        assert record.ending.reason is EndReason.REFUSED
        assert record.ending.detail == "gateway stopped"
    else:
        assert record.ending.reason is EndReason.INTERRUPTED


async def test_a_call_that_comes_while_the_gateway_stops_leaves_a_record(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, home: Home
) -> None:
    """As long as it takes leave of others it is refused in order, and so the record says."""
    async with AsyncExitStack() as running:
        address = await running.enter_async_context(run_gateway(home=home))
        gateway = (address.host, address.port)
        async with (
            calling_from("127.0.0.1", gateway, caller="+12025550169") as phone,
            calling_from("127.0.0.1", gateway, caller="+12025550170") as late,
        ):
            phone.invite(LINE)
            async with agent_for(server, access, phone.caller):
                await phone.final()
                (path,) = home.journals.glob("*.jsonl")
                lock = Lock.take(path)
                assert lock is not None
                with lock:  # which keeps the gateway from its end for as long as its patience
                    stopping = asyncio.create_task(running.aclose())
                    await phone.until(method="BYE")
                    late.invite(LINE)
                    assert (await late.final()).status == 486
                    await stopping
    records = [build(contents.entries) for contents in journals(home)]
    (record,) = [one for one in records if one.sip_call_id == late.call_id]
    assert (record.ending.reason, record.ending.detail) == (EndReason.REFUSED, "gateway stopped")


async def test_a_gateway_that_stops_at_the_invite_leaves_a_record(
    run_gateway: RunGateway, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not known yet where the call came from: that is awaited."""
    asked, may_know, known = asyncio.Event(), asyncio.Event(), InviteTrace.of

    async def late(self: InviteTrace, call_id: str | None, *, timeout: float) -> Origin:
        asked.set()
        await may_know.wait()
        return await known(self, call_id, timeout=timeout)

    monkeypatch.setattr(InviteTrace, "of", late)
    async with AsyncExitStack() as running:
        address = await running.enter_async_context(run_gateway(home=home))
        async with calling_from("127.0.0.1", (address.host, address.port)) as phone:
            phone.invite(LINE)
            await asked.wait()
            stopping = asyncio.create_task(running.aclose())
            asyncio.get_running_loop().call_later(0.05, may_know.set)
            await phone.final()
            await stopping
    (contents,) = journals(home)
    assert build(contents.entries).ending.detail == "gateway stopped"


async def test_a_disk_that_hangs_keeps_nobody_from_an_agent_who_is_there(
    run_gateway: RunGateway,
    server: api.LiveKitAPI,
    access: LiveKitAccess,
    home: Home,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The journal cannot be opened for as long as the call rings: it is answered all the same."""
    works = threading.Event()

    def hang(*_: object) -> NoReturn:
        works.wait(30)
        raise OSError("it hung")

    monkeypatch.setattr(Ringing, "open", hang)
    async with run_gateway(home=home, patience=Patience(agent=25)) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550171") as phone:
            phone.invite(LINE)
            async with agent_for(server, access, phone.caller):
                assert (await phone.final(timeout=15)).status == 200
                works.set()
                phone.bye()


async def test_an_agent_without_a_journal_leaves_the_ending_to_the_gateway(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, home: Home
) -> None:
    """One that could not write, or is none of ours: the call has its record all the same."""
    async with run_gateway(home=home) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550164") as phone:
            phone.invite(LINE)
            async with agent_for(server, access, phone.caller) as agent:
                assert (await phone.final()).status == 200
                await agent.until(lambda: agent.statuses == ["active"])
                assert journals(home) == []
                phone.bye()
                record = await record_of(home)
    assert record.ending.reason is EndReason.CALLER_HUNG_UP


async def test_a_journal_on_another_machine_leaves_this_one_without_a_record(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, home: Home
) -> None:
    """The job that has opened one there says so; the last entry here is that."""
    async with run_gateway(home=home) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550165") as phone:
            phone.invite(LINE)
            async with agent_for(server, access, phone.caller) as agent:
                await agent.until(lambda: bool(agent.statuses))
                assert agent.caller.attributes["thirdring.home"] == home.id
                await agent.room.local_participant.set_attributes({"thirdring.journal": "f" * 32})
                phone.bye()
                await agent.until(lambda: bool(agent.left))
    (contents,) = journals(home)
    assert [type(entry) for entry in contents.entries] == [Opened, Elsewhere]


async def test_a_home_that_cannot_be_written_stops_no_call(
    run_gateway: RunGateway,
    server: api.LiveKitAPI,
    access: LiveKitAccess,
    home: Home,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The call is answered, and one alarm says what to look at."""
    home.journals.touch()
    async with run_gateway(home=home) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550166") as phone:
            phone.invite(LINE)
            async with agent_for(server, access, phone.caller) as agent:
                assert (await phone.final()).status == 200
                phone.bye()
                await agent.until(lambda: bool(agent.left))
    alarms = [one for one in caplog.records if getattr(one, "alarm", None) == "journal"]
    assert [one.levelno for one in alarms] == [logging.ERROR]


async def test_a_job_is_told_why_the_caller_is_gone(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, home: Home
) -> None:
    """RTP that stops: `media_timeout` stands beside `hangup` before the participant leaves."""
    async with run_gateway(home=home, patience=Patience(media=1)) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550167") as phone:
            phone.invite(LINE)
            async with agent_for(server, access, phone.caller) as agent:
                await agent.until(lambda: agent.statuses == ["active"])
                phone.muted = True
                caller = agent.caller
                await agent.until(lambda: bool(agent.left))
                record = await record_of(home)
    assert agent.left == [rtc.DisconnectReason.CLIENT_INITIATED]
    assert caller.attributes["thirdring.ending"] == "media_timeout no RTP from the caller"
    assert record.ending.reason is EndReason.MEDIA_TIMEOUT


async def test_the_journal_is_there_before_anybody_could_answer(
    run_gateway: RunGateway, server: api.LiveKitAPI, home: Home
) -> None:
    """It is durable when the room is, held by the gateway, and another one cannot be opened."""
    async with run_gateway(home=home) as address:
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+12025550168") as phone:
            phone.invite(LINE)
            await phone.until(180)
            async with asyncio.timeout(5):
                while not list(home.journals.glob("*.jsonl")):  # noqa: ASYNC110 - files tell no events
                    await asyncio.sleep(0.01)
            assert journals(home) == []
            phone.cancel()
            await phone.final()
        (path,) = home.journals.glob("*.jsonl")
        assert Ringing.adopt(path, "gateway") is None
