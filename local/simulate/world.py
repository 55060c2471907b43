"""The world of one scenario: a business with a store of its own, before and after the call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import yaml

from local.scenarios import (
    Booking,
    Callback,
    Errand,
    Event,
    Message,
    Notification,
    Row,
    Userdata,
)
from thirdring import config
from thirdring.settings import Business, Settings
from thirdring.store import Connection, Store, from_text, to_text
from thirdring.store.errands import Wish, add, find
from thirdring.store.store import Row as StoredRow
from thirdring.workflow import Workflow

__all__ = ["NUMBER", "World", "settings_of", "what_is_known", "what_was_made"]

NUMBER: Final = "+12025550142"

_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday")
_BUSINESS: Final[Mapping[str, Any]] = {
    "name": "Riverside Clinic",
    "time_zone": "America/New_York",
    "facts": {
        "facility_name": "Riverside Clinic",
        "address": "12 River Street",
        "notes": "New patients are welcome.",
    },
    "hours": {day: ["09:00-17:00"] for day in _DAYS},
    "slot_minutes": 30,
}
_SLUG: Final = "riverside"
_ENVIRON: Final = {"STAFF_ADDRESS": "json://nobody.invalid/"}
"""Where staff are told: nothing is sent, for in a simulation there is no courier."""
_SOMEBODY_ELSE: Final = "another-call"


def settings_of(
    userdata: Userdata, workflow: Workflow, folder: Path, workflows: Mapping[str, Workflow]
) -> Settings:
    """Return the configuration with the scenario's business, checked like any other.

    Raises:
        ConfigError: `business` or `line` of the scenario is not what `thirdring.yaml` takes.
    """
    own = userdata.business
    business = {**_BUSINESS, **own}
    if isinstance(business["facts"], dict):  # if not, that is said with everything else
        business["facts"] = {**_BUSINESS["facts"], **business["facts"]}
    business["lines"] = [{"number": NUMBER, "workflow": workflow.name, **userdata.line}]
    document = {
        "version": 1,
        "businesses": {_SLUG: business},
        "default_line": NUMBER,
        "allowed_receivers": ["127.0.0.0/8", "::1/128"],
    }
    path = folder / "thirdring.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return config.load(path, workflows=workflows, environ=_ENVIRON)


class World:
    """The store of one scenario.

    Args:
        store: Of nobody else.
    """

    def __init__(self, userdata: Userdata, business: Business, store: Store) -> None:
        self._userdata = userdata
        self._business = business
        self._store = store

    async def prepare(self, workflow: str) -> str | None:
        """Put in what is known of the caller; return the id of the errand that they call for."""
        number, known = self._userdata.caller, self._userdata.remembered
        noted = to_text(self._userdata.now - timedelta(days=7))
        slug = self._business.slug

        def write(connection: Connection) -> str | None:
            for fact in known:
                connection.execute(
                    "INSERT INTO caller_facts (business, number, fact, call_id, noted_at, of_call)"
                    " VALUES (?, ?, ?, ?, ?, 0)",
                    (slug, number, fact, _SOMEBODY_ELSE, noted),
                )
            if self._userdata.opted_out:
                connection.execute(
                    "INSERT INTO caller_opt_outs (business, number, call_id, opted_out_at)"
                    " VALUES (?, ?, ?, ?)",
                    (slug, number, _SOMEBODY_ELSE, noted),
                )
            details = self._userdata.errand
            if details is None:
                return None
            wish = Wish(slug, workflow, number, details, _SOMEBODY_ELSE, _SOMEBODY_ELSE)
            return add(connection, wish, now=self._userdata.now - timedelta(days=1)).id

        return await self._store.write(write)

    async def errand(self, name: str | None) -> Errand | None:
        """Return what has become of an errand."""
        found = None if name is None else await find(self._store, self._business.slug, name)
        if found is None:
            return None
        return Errand(
            kind=found.kind,
            state=found.state,
            number=found.number,
            details=found.details,
            result=found.result,
        )

    async def pass_line(self, number: int) -> None:
        """Let happen what others do after this line of the caller; 0 is before the call."""
        slug, length = self._business.slug, timedelta(minutes=self._business.slot_minutes)
        taken = [each.slot for each in self._userdata.taken if each.after_line == number]
        busy = [each for each in self._userdata.busy if each.after_line == number]

        def write(connection: Connection) -> None:
            for slot in taken:
                zone = self._business.time_zone
                begins = datetime.strptime(slot, "s_%Y%m%d_%H%M").replace(tzinfo=zone)
                times = (to_text(begins), to_text(begins + length))
                connection.execute(
                    "INSERT INTO appointments (business, starts_at, ends_at, reference,"
                    " patient_name, call_id, idempotency_key, booked_at)"
                    " VALUES (?, ?, ?, ?, 'Somebody Else', ?, ?, ?)",
                    (slug, *times, slot, _SOMEBODY_ELSE, slot, times[0]),
                )
            for each in busy:
                begins = _zoned(each.starts_at, self._business.time_zone)
                ends = begins + timedelta(minutes=each.minutes)
                span = (to_text(begins), to_text(ends))
                key = f"busy-{begins.isoformat()}"
                connection.execute(
                    "INSERT INTO events (business, id, title, starts_at, ends_at, call_id,"
                    " idempotency_key, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (slug, key, each.title, *span, _SOMEBODY_ELSE, key, span[0]),
                )

        if taken or busy:
            await self._store.write(write)


def _zoned(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


async def what_was_made(store: Store, call_id: str, zone: ZoneInfo) -> dict[str, tuple[Row, ...]]:
    """Return what a call has put into the store, by the names of the tables."""

    def read(connection: Connection) -> dict[str, list[StoredRow]]:
        return {
            table: connection.execute(
                f"SELECT * FROM {table} WHERE call_id = ? ORDER BY {order}",  # noqa: S608 - ours
                (call_id,),
            ).fetchall()
            for table, order in _ORDERS.items()
        }

    rows = await store.read(read)
    return {
        table: tuple(_row(table, {**row}, zone) for row in found) for table, found in rows.items()
    }


_ORDERS: Final = {
    "appointments": "starts_at",
    "events": "starts_at",
    "messages": "taken_at, id",
    "callbacks": "asked_at, id",
    "notifications": "created_at, id",
    "errands": "created_at, id",
}
_MODELS: Final[Mapping[str, type[Row]]] = {
    "events": Event,
    "messages": Message,
    "callbacks": Callback,
    "notifications": Notification,
    "errands": Errand,
}


def _row(table: str, row: dict[str, Any], zone: ZoneInfo) -> Row:
    local = {
        key: from_text(row[key]).astimezone(zone)
        for key in ("starts_at", "ends_at", "wanted_at")
        if row.get(key) is not None
    }
    if table == "appointments":
        slot = f"s_{local['starts_at']:%Y%m%d_%H%M}"
        return Booking(slot=slot, name=row["patient_name"], phone=row["patient_phone"])
    values = {**row, **local}
    if table == "events":
        values["minutes"] = round((local["ends_at"] - local["starts_at"]).total_seconds() / 60)
    if table == "errands":
        values["details"] = json.loads(row["details"])
        values["result"] = row["result"] and json.loads(row["result"])
    model = _MODELS[table]
    return model.model_validate({k: v for k, v in values.items() if k in model.model_fields})


async def what_is_known(store: Store, number: str | None) -> tuple[tuple[str, ...], bool]:
    """Return the facts about a caller, and whether nothing is to be remembered of them."""

    def read(connection: Connection) -> tuple[tuple[str, ...], bool]:
        facts = connection.execute(
            "SELECT fact FROM caller_facts WHERE number = ? ORDER BY fact", (number,)
        ).fetchall()
        out = connection.execute(
            "SELECT 1 AS one FROM caller_opt_outs WHERE number = ?", (number,)
        ).fetchone()
        return tuple(cast("str", row["fact"]) for row in facts), out is not None

    return await store.read(read)
