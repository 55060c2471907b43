"""What an older version has stored is read by this one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.samples import at, business
from tests.thirdring.store.test_outbox import claim
from thirdring.store import Store, to_text
from thirdring.store.appointments import AppointmentBook
from thirdring.store.outbox import DeliveryState, Endpoint, Outbox
from thirdring.store.sqlite import SqliteStore
from thirdring.store.threaded import migrations

STATES = ("pending", "delivered", "disabled", "dead", "kept")


def old_record(number: int, caller: str | None) -> bytes:
    """Return what matters here of a record as version 1 wrote it."""
    record = {
        "version": 1,
        "caller_number": caller,
        "opened_at": f"2026-11-20T15:0{number}:00.123456Z",
        "ended_at": f"2026-11-20T15:0{number}:30Z",
        "ending": {"reason": "caller_hung_up", "detail": None},
    }
    return json.dumps(record).encode()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a file of version 1 with a delivery in each of its states, and an appointment."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(migrations("sqlite")[0])
        for number, state in enumerate(STATES):
            pending = state == "pending"
            connection.execute(
                "INSERT INTO records VALUES (?, ?, 'clinic', ?, ?)",
                (state, f"id-{state}", old_record(number, "+12025550199"), to_text(at(number))),
            )
            connection.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    state,
                    state,
                    2,
                    to_text(at(60)) if pending else None,
                    None if pending else to_text(at(9)),
                    500,
                    "HTTP 500",
                ),
            )
        connection.execute(
            "INSERT INTO records VALUES ('nobody', 'id-nobody', NULL, ?, ?)",
            (b"\xff no JSON", to_text(at(7))),
        )
        connection.execute(
            "INSERT INTO deliveries VALUES ('nobody', 'kept', 0, NULL, ?, NULL, NULL)",
            (to_text(at(7)),),
        )
        connection.execute("INSERT INTO reference_numbers VALUES ('riverside_clinic', 1001)")
        connection.execute(
            "INSERT INTO appointments VALUES ('riverside_clinic', ?, ?, 'RC-1001', 'Ada Byron',"
            " NULL, 'call-1', 'call-1:1', ?)",
            (to_text(at(3600)), to_text(at(5400)), to_text(at(0))),
        )
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    return path


async def test_an_old_file_is_brought_up_to_date(old: Path) -> None:
    """Every state comes over: 410 as parked, no webhook as no delivery, the rest to the webhook."""
    async with SqliteStore(old) as store:
        outbox = Outbox(store)
        states = {call_id: await outbox.states(call_id) for call_id in (*STATES, "nobody")}
        assert states == {
            "pending": {"webhook": DeliveryState.PENDING},
            "delivered": {"webhook": DeliveryState.DELIVERED},
            "disabled": {"webhook": DeliveryState.PARKED},
            "dead": {"webhook": DeliveryState.DEAD},
            "kept": {},
            "nobody": {},
        }
        (due,) = await claim(outbox, 60, free={Endpoint("clinic", "webhook"): 8})
        assert (due.call_id, due.attempts) == ("pending", 2)
        assert due.body == old_record(0, "+12025550199")
        (appointment,) = await AppointmentBook(store, business()).of_call("call-1")
        assert appointment.reference == "RC-1001"


async def test_old_records_can_be_listed(old: Path) -> None:
    """What stood in the body only is in columns; where it does not, the next best is."""
    async with SqliteStore(old) as store:
        rows = await listed(store)
    assert rows["dead"] == {
        "caller": "+12025550199",
        "opened_at": "2026-11-20T15:03:00.123000+00:00",
        "ended_at": "2026-11-20T15:03:30.000000+00:00",
        "reason": "caller_hung_up",
    }
    stored = to_text(at(7))
    assert rows["nobody"] == {
        "caller": None,
        "opened_at": stored,
        "ended_at": stored,
        "reason": "interrupted",
    }


async def listed(store: Store) -> dict[str, dict[str, str | None]]:
    """Return what a list shows of each record."""
    rows = await store.read(
        lambda connection: connection.execute(
            "SELECT call_id, caller, opened_at, ended_at, reason FROM records"
        ).fetchall()
    )
    return {row["call_id"]: {k: v for k, v in row.items() if k != "call_id"} for row in rows}


async def test_old_callers_are_counted(old: Path) -> None:
    """As if they had been from the first call on."""
    async with SqliteStore(old) as store:
        rows = await store.read(lambda c: c.execute("SELECT * FROM callers").fetchall())
    (row,) = rows
    assert (row["number"], row["calls"]) == ("+12025550199", 5)
    assert row["first_call_at"] < row["last_call_at"]


async def test_a_migration_happens_whole_or_not_at_all(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails half-way leaves the file as it was, for the older version to read."""
    scripts = migrations("sqlite")
    broken = [scripts[0], f"{scripts[1]}\nINSERT INTO nowhere VALUES (1);"]
    monkeypatch.setattr("thirdring.store.sqlite.migrations", lambda _: broken)
    with pytest.raises(Exception, match="no such table: nowhere"):
        await SqliteStore(old).connect()
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        rows = connection.execute("SELECT state FROM deliveries ORDER BY state").fetchall()
    assert [row[0] for row in rows] == sorted([*STATES, "kept"])
