"""Files that version 1 has left behind (made by its own code at 030dd50): journals and a store."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.peers.counts import tell
from tests.peers.endpoint import Arrival, Endpoint, serving
from tests.samples import SECRET, SetClock, at, business, settings
from thirdring.courier import run
from thirdring.home import Home
from thirdring.journal import file_name
from thirdring.record import Record
from thirdring.store.appointments import AppointmentBook
from thirdring.store.outbox import DeliveryState, Outbox
from thirdring.store.sqlite import SqliteStore

LEFT = Path(__file__).with_name("version_1")
RENAMED = {"time_limit": "limit_reached"}
SAME = ("id", "call_id", "sip_call_id", "kind", "business", "line", "workflow", "model")
STORED = {
    "SCL_s_new_1": "pending",
    "SCL_s_new_2": "pending",
    "SCL_s_tried": "pending",
    "SCL_s_delivered": "delivered",
    "SCL_s_disabled": "parked",
    "SCL_s_dead": "dead",
    "SCL_s_kept": None,
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home as version 1 left it."""
    home = Home(tmp_path / "home")
    shutil.copytree(LEFT / "journals", home.journals)
    with closing(sqlite3.connect(home.store)) as store:
        store.executescript((LEFT / "store.sql").read_text(encoding="utf-8"))
    return home


async def collected(home: Home) -> Endpoint:
    """Let the courier of this version do all that is due on the day of those calls."""
    async with serving() as endpoint:
        config = settings(business(url=endpoint.url))
        await run(home, config, once=True, clock=SetClock(at(3600)))
    return endpoint


def verified(arrival: Arrival) -> Record:
    # Its clock was set to the day of those calls, which the verifier would not believe.
    body = arrival.body.decode()
    seconds = arrival.headers["webhook-timestamp"]
    moment = at(3600)
    assert int(seconds) == int(moment.timestamp())
    signed = Webhook(SECRET.get_secret_value()).sign(arrival.headers["webhook-id"], moment, body)
    assert signed in arrival.headers["webhook-signature"].split()
    return Record.model_validate_json(arrival.body)


def told_before() -> Iterator[dict[str, Any]]:
    """Yield the records that version 1 itself made of these journals."""
    for line in (LEFT / "records.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


async def test_every_old_journal_becomes_the_record_that_it_was(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ended, cut off, torn, damaged, of no business: each tells the same call as before."""
    bodies = {}
    async with SqliteStore(home.store) as store:
        await collected(home)
        for before in told_before():
            body = await Outbox(store).record(before["call_id"])
            assert body is not None, before["call_id"]
            bodies[before["call_id"]] = json.loads(body)
    for before in told_before():
        now = bodies[before["call_id"]]
        assert [now[name] for name in SAME] == [before[name] for name in SAME]
        reason = before["ending"]["reason"]
        assert now["ending"]["reason"] == RENAMED.get(reason, reason)
        for kind in ("turns", "tool_uses"):
            for one, old in zip(now[kind], before[kind], strict=True):
                assert {name: one[name] for name in old} == old
    assert not list(home.journals.glob("*.jsonl"))
    tell(capsys, f"version 1: 0 of {len(bodies)} journals lost or read otherwise")


async def test_every_old_record_that_waits_is_delivered(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pending ones arrive, unchanged; what was settled stays so."""
    with closing(sqlite3.connect(home.store)) as store:
        bodies = dict(store.execute("SELECT record_id, body FROM records"))
    endpoint = await collected(home)
    arrived = {arrival.headers["webhook-id"]: arrival for arrival in endpoint.arrivals}
    records = [verified(arrival) for arrival in arrived.values()]
    waiting = [record for record in records if record.call_id in STORED]
    assert {record.call_id for record in waiting} == {
        call for call, state in STORED.items() if state == "pending"
    }
    for record in waiting:
        assert arrived[str(record.id)].body == bodies[str(record.id)]
    async with SqliteStore(home.store) as opened:
        for call, state in STORED.items():
            wanted = {"pending": "delivered"}.get(state or "", state)
            found = await Outbox(opened).states(call)
            assert found == ({} if wanted is None else {"webhook": DeliveryState(wanted)}), call
    tell(capsys, f"version 1: 0 of {len(STORED)} stored records lost, {len(waiting)} sent")


async def test_old_appointments_are_kept(home: Home) -> None:
    """What patients were told stands."""
    async with SqliteStore(home.store) as store:
        book = AppointmentBook(store, business())
        found = await book.of_call("SCL_completed")
    assert [(one.reference, one.starts_at.date()) for one in found] == [
        ("RC-1001", date(2026, 11, 24)),
        ("RC-1002", date(2026, 11, 24)),
    ]


def test_an_old_name_is_still_found() -> None:
    """A journal of a call with an odd Call-ID has the name that this version looks for."""
    names = {path.name for path in (LEFT / "journals").iterdir()}
    assert {file_name(before["call_id"]) for before in told_before()} == names
