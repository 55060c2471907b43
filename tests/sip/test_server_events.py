"""Signed events, in orders that a server gives rarely, and the records that follow from them."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from livekit import api

from sip import server_events
from sip.attendance import is_call
from sip.gateway.invitation import TRUNK_ID
from tests.peers.server_events import (
    NOBODY,
    Events,
    agent,
    caller,
    collected,
    listening,
    taken,
    token,
)
from tests.samples import at
from thirdring.calls import Ending, EndReason
from thirdring.errors import ConfigError, PhoneError
from thirdring.home import Home
from thirdring.journal import Ended, Journal, file_name, is_owned, read

KEY, SECRET = NOBODY["LIVEKIT_API_KEY"], NOBODY["LIVEKIT_API_SECRET"]
REASONS = api.DisconnectReason


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).made()


@pytest.fixture
async def events(home: Home) -> AsyncIterator[Events]:
    """Start what listens; livekit-server itself cannot be asked."""
    async with listening(home) as events:
        yield events


def journal(home: Home, call_id: str) -> Path:
    return home.journals / file_name(call_id)


async def finished(job: Journal, reason: EndReason) -> None:
    """Let a job end its call and its journal."""
    job.append(Ended(at=at(60), ending=Ending(reason=reason, at=at(60))))
    await job.close()


# --- Who may say what.


GENUINE = {"key": KEY, "secret": SECRET, "validity": timedelta(minutes=5)}


@pytest.mark.parametrize(
    "changed",
    [
        {"key": "other"},
        {"secret": "9876543210" * 4},
        {"body": b"another"},
        {"validity": timedelta(minutes=-3)},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_who_is_not_our_server_is_refused(
    events: Events, home: Home, changed: dict[str, Any]
) -> None:
    """401 for a wrong key, secret or hash and an expired token; no journal is opened."""
    body = events.event("participant_joined", caller("SCL_1"))
    assert await events.post(body, token(**{"body": body, **GENUINE, **changed})) == 401
    assert not journal(home, "SCL_1").exists()


@pytest.mark.parametrize("header", ["", "Bearer x", "x.y.z", "Basic dGVzdHM6eA=="])
async def test_without_a_token_nobody_is_heard(events: Events, header: str) -> None:
    """401, whatever else stands there."""
    assert await events.post(events.event("participant_joined", caller("SCL_1")), header) == 401


async def test_many_refusals_are_few_lines_of_the_log(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    """At most one a second, with how many there were; n=50 refusals."""
    began = time.monotonic()
    for _ in range(50):
        assert await events.post(b"{}", "Bearer nonsense") == 401
    lines = [record for record in caplog.records if "is refused" in record.message]
    assert 1 <= len(lines) <= 1 + time.monotonic() - began


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe", b'{"event": 7}', b"[" * 5000, b'{"id": "EV"}'],
)
async def test_garbage_is_refused(events: Events, body: bytes) -> None:
    """400, though it is signed with our key."""
    assert await events.post(body) == 400


async def test_a_body_of_any_length_is_not_read(events: Events) -> None:
    """413 over 512 KiB; one of 500 KiB with a key that is new to us is accepted."""
    assert await events.post(b" " * (512 * 1024 + 1)) == 413
    wide = events.event("room_started").replace(b"{", b'{"new":"' + b"x" * 500_000 + b'",', 1)
    assert await events.post(wide) == 200


@pytest.mark.parametrize("age", [7 * 60, -7 * 60, -9e18])
async def test_an_event_of_another_time_is_refused(events: Events, home: Home, age: float) -> None:
    """401 for what is older than any token of livekit-server, or of the future."""
    assert await events.post(events.event("participant_joined", caller("SCL_1"), age=age)) == 401
    assert not journal(home, "SCL_1").exists()


async def test_a_replay_is_dropped(events: Events, home: Home) -> None:
    """The same event once more is answered 200, and nothing follows, even without a journal."""
    joined = events.event("participant_joined", caller("SCL_1"))
    assert await events.post(joined) == 200
    await events.tell("participant_left", caller("SCL_1"))
    assert len(await collected(home)) == 1
    (home.archive / file_name("SCL_1")).unlink()
    home.store.unlink()
    assert await events.post(joined) == 200
    assert not journal(home, "SCL_1").exists()


async def test_the_health_page_is_as_bare_as_the_workers(events: Events) -> None:
    """Its root says OK."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(events.url.removesuffix(server_events.PATH))
    assert (answer.status_code, answer.text) == (200, "OK")


# --- What becomes of a call.


async def test_a_call_that_no_job_takes_is_abandoned(events: Events, home: Home) -> None:
    """Its journal is held while it rings; its record says whose line it was, and why it ended."""
    await events.tell("participant_joined", caller("SCL_1"))
    assert is_owned(journal(home, "SCL_1"))
    assert await collected(home) == []
    await events.tell("participant_left", caller("SCL_1", callStatus="hangup"))
    (record,) = await collected(home)
    assert (record.call_id, record.business, record.line) == (
        "SCL_1",
        "riverside_clinic",
        "+12025550142",
    )
    assert (record.caller_number, record.answered_at) == ("+12025550199", None)
    assert record.ending.reason is EndReason.ABANDONED
    assert record.ending.detail == "the caller left; no agent came"


async def test_every_order_of_events_makes_one_record(events: Events, home: Home) -> None:
    """Joined, left and finished in any order, each twice, then all again: one record per call."""
    orders = list(
        itertools.permutations(["participant_joined", "participant_left", "room_finished"])
    )
    for number, order in enumerate(orders):
        call_id, room = f"SCL_{number}", events.of(f"room-{number}")
        for name in order:
            phone = None if name == "room_finished" else caller(call_id)
            await room.tell(name, phone)
            await room.tell(name, phone)
    assert len(await collected(home)) == len(orders)
    for number, _ in enumerate(orders):
        for name in ("participant_joined", "participant_left"):
            await events.of(f"room-{number}").tell(name, caller(f"SCL_{number}"))
    found = [record.call_id for record in await collected(home)]
    assert sorted(found) == [f"SCL_{number}" for number, _ in enumerate(orders)]
    assert list(home.journals.iterdir()) == []
    print(f"{len(orders)} orders, 0 second records")  # noqa: T201 - beside the zero


async def test_the_same_event_many_times_at_once_opens_one_journal(
    events: Events, home: Home
) -> None:
    """Of 20 joinings at the same moment one counts, and the others are accepted."""
    bodies = [events.event("participant_joined", caller("SCL_1")) for _ in range(20)]
    assert set(await asyncio.gather(*map(events.post, bodies))) == {200}
    assert len(read(journal(home, "SCL_1")).entries) == 1


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        (REASONS.UNKNOWN_REASON, EndReason.REFUSED),
        (REASONS.USER_REJECTED, EndReason.REFUSED),
        (REASONS.CLIENT_INITIATED, EndReason.ABANDONED),
        (REASONS.ROOM_DELETED, EndReason.REMOVED),
        (REASONS.SIGNAL_CLOSE, EndReason.INTERRUPTED),
    ],
)
async def test_the_ending_says_who_gave_up(
    events: Events, home: Home, reason: api.DisconnectReason, ending: EndReason
) -> None:
    """By the reason with which livekit-server says that the caller left."""
    gone = caller("SCL_1")
    gone.disconnect_reason = reason
    await events.tell("participant_joined", caller("SCL_1"))
    await events.tell("participant_left", gone)
    (record,) = await collected(home)
    assert record.ending.reason is ending


async def test_a_call_whose_media_never_came_leaves_a_record(events: Events, home: Home) -> None:
    """livekit-server tells of such a caller only when it is gone."""
    await events.tell("participant_connection_aborted", caller("SCL_1"))
    assert [record.call_id for record in await collected(home)] == ["SCL_1"]


async def test_a_number_of_nobody_leaves_a_record_without_business(
    events: Events, home: Home
) -> None:
    """It is kept: whose record it is nobody knows."""
    unknown = caller("SCL_1", line="+12025550177")
    await events.tell("participant_joined", unknown)
    await events.tell("participant_left", unknown)
    (record,) = await collected(home)
    assert (record.business, record.line, record.called_number) == (None, None, "+12025550177")


async def test_what_is_no_call_behind_livekit_sip_is_left_alone(events: Events, home: Home) -> None:
    """Our gateway keeps its own journals; whom we called came by no rule; browsers have a job."""
    browser = caller("SCL_3")
    browser.kind = browser.Kind.STANDARD
    others = [caller("SCL_1", trunkID=TRUNK_ID), caller("SCL_2", ruleID=""), browser]
    for participant in others:
        await events.tell("participant_joined", participant)
        await events.tell("participant_left", participant)
    assert [is_call(participant) for participant in others] == [False] * 3
    assert await collected(home) == []


# --- When a job has it.


async def test_an_event_behind_the_job_changes_nothing(events: Events, home: Home) -> None:
    """The job came first, or has long ended: its record stays the only one."""
    await events.tell("participant_joined", caller("SCL_1"))
    job = taken(home, "SCL_1")
    await events.tell("participant_joined", agent(home.id))
    await events.tell("track_published", agent(home.id))
    assert not (home.journals / f"{file_name('SCL_1')}.ringing").exists()
    await events.tell("participant_joined", caller("SCL_1"))
    await finished(job, EndReason.COMPLETED)
    (before,) = await collected(home)
    for name in ("participant_joined", "participant_left"):
        await events.tell(name, caller("SCL_1"))
    await events.tell("room_finished")
    (after,) = await collected(home)
    assert before == after
    assert (after.ending.reason, list(home.journals.iterdir())) == (EndReason.COMPLETED, [])


async def test_a_job_that_has_the_call_writes_its_ending(events: Events, home: Home) -> None:
    """Though no event told of its agent, the caller's leaving ends nothing but our holding."""
    await events.tell("participant_joined", caller("SCL_1"))
    job = taken(home, "SCL_1")
    await events.tell("participant_left", caller("SCL_1"))
    assert await collected(home) == []
    await finished(job, EndReason.CALLER_HUNG_UP)
    assert [record.ending.reason for record in await collected(home)] == [EndReason.CALLER_HUNG_UP]


async def test_a_job_that_dies_before_it_speaks_leaves_the_ending_to_us(
    events: Events, home: Home
) -> None:
    """The caller hears ringing until the end, and the record says why nobody answered."""
    await events.tell("participant_joined", caller("SCL_1"))
    await taken(home, "SCL_1").close()
    assert await collected(home) == []
    await events.tell("participant_left", caller("SCL_1", callStatus="hangup"))
    (record,) = await collected(home)
    assert record.ending.reason is EndReason.ABANDONED
    assert record.ending.detail == "the caller left; the job that took the call died"


async def test_an_agent_that_takes_another_call_leaves_this_one_ringing(
    events: Events, home: Home
) -> None:
    """Two phones in one room: only the one that the job took is released."""
    for call_id in ("SCL_1", "SCL_2"):
        await events.tell("participant_joined", caller(call_id))
    job = taken(home, "SCL_1")
    await events.tell("participant_joined", agent(home.id, tracks=1))
    await events.tell("track_published", agent(home.id))
    held = [
        call for call in ("SCL_1", "SCL_2") if (home.journals / f"{call}.jsonl.ringing").exists()
    ]
    assert held == ["SCL_2"]
    await finished(job, EndReason.COMPLETED)
    for call_id in ("SCL_1", "SCL_2"):
        await events.tell("participant_left", caller(call_id, callStatus="hangup"))
    endings = {record.call_id: record.ending for record in await collected(home)}
    assert endings["SCL_1"].reason is EndReason.COMPLETED
    assert endings["SCL_2"].reason is EndReason.CALLER_HUNG_UP
    assert endings["SCL_2"].detail == "the caller hung up; the agent that answered kept no journal"


@pytest.mark.parametrize(
    ("spoke", "ending"), [(True, EndReason.CALLER_HUNG_UP), (False, EndReason.ABANDONED)]
)
async def test_an_agent_that_keeps_no_journal_leaves_the_ending_to_us(
    events: Events, home: Home, spoke: bool, ending: EndReason
) -> None:
    """As behind our gateway: what livekit-sip answered is no abandoned call."""
    await events.tell("participant_joined", caller("SCL_1"))
    await events.tell("participant_joined", agent())
    if spoke:
        await events.tell("track_published", agent())
    await events.tell("participant_left", caller("SCL_1", callStatus="hangup"))
    (record,) = await collected(home)
    assert record.ending.reason is ending


@pytest.mark.parametrize("spoke", [True, False])
async def test_a_call_of_another_home_leaves_no_record_here(
    events: Events, home: Home, spoke: bool
) -> None:
    """Its agent has said that the journal is there, at the latest as it leaves: n=0 records, and
    none later."""
    await events.tell("participant_joined", caller("SCL_1"))
    await events.tell("participant_joined", agent("f" * 32))
    if spoke:
        await events.tell("track_published", agent("f" * 32))
    await events.tell("participant_left", caller("SCL_1"))
    assert await collected(home) == []
    await events.tell("participant_left", agent("f" * 32, journal=True))
    assert await collected(home) == []
    assert list(home.journals.iterdir()) == []
    await events.tell("participant_joined", caller("SCL_1"))
    assert list(home.journals.iterdir()) == []


@pytest.mark.parametrize("first", ["caller", "agent"])
async def test_an_agent_of_another_home_that_dies_before_its_journal_leaves_the_ending_to_us(
    events: Events, home: Home, first: str
) -> None:
    """It leaves without a word of a journal, before its caller or after."""
    left = [caller("SCL_1", callStatus="hangup"), agent("f" * 32)]
    await events.tell("participant_joined", left[0])
    await events.tell("participant_joined", left[1])
    for participant in left if first == "caller" else reversed(left):
        assert await collected(home) == []
        await events.tell("participant_left", participant)
    (record,) = await collected(home)
    assert record.ending.reason is EndReason.ABANDONED
    assert record.ending.detail == "the caller left; the agent that came did not take the call"


# --- Faults.


async def test_an_event_that_cannot_be_acted_upon_is_asked_for_again(
    events: Events, home: Home
) -> None:
    """503 while journals cannot be written, for livekit-server tries again; then 200."""
    joined = events.event("participant_joined", caller("SCL_1"))
    home.journals.touch()
    assert await events.post(joined) == 503
    home.journals.unlink()
    assert await events.post(joined) == 200
    assert is_owned(journal(home, "SCL_1"))


def test_a_port_without_keys_is_a_mistake() -> None:
    """The courier names each variable that is missing, and runs without any of them."""
    with pytest.raises(ConfigError, match="LIVEKIT_API_SECRET"):
        server_events.endpoint({server_events.PORT_VARIABLE: "8092", "LIVEKIT_URL": "ws://x"})
    assert server_events.endpoint({}) is None


def test_a_port_that_is_taken_is_named() -> None:
    """With the variable that moves it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {**NOBODY, server_events.PORT_VARIABLE: str(taken.getsockname()[1])}
        with pytest.raises(PhoneError, match=server_events.PORT_VARIABLE):
            server_events.endpoint(environ)
