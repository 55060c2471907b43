from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.samples import opened, plain
from tests.thirdring.records.kept import keep, records, talk
from thirdring.home import Home
from thirdring.journal import file_name
from thirdring.record import build


async def test_what_version_1_left_is_shown_and_verified(tmp_path: Path) -> None:
    """Its record has neither offsets nor who ended the call, its journal no checksums."""
    home = Home(tmp_path)
    await keep(home, {"call-2": talk()})
    entries = [plain(entry) for entry in (opened(), *talk("Are you open?"))]
    lines = [entry.model_dump(mode="json", exclude_none=True) for entry in entries]
    for optional in ("business", "line", "workflow", "model"):
        lines[0].setdefault(optional, None)
    lines[0]["version"] = 1
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    (home.archive / file_name("call-1")).write_text(text)
    body = build(entries).model_dump(mode="json", exclude={"answered_offset", "ended_offset"})
    body["version"] = 1
    del body["ending"]["by"]
    with closing(sqlite3.connect(home.store)) as database, database:
        database.execute(
            "INSERT INTO records (call_id, record_id, business, body, stored_at, caller, opened_at,"
            " ended_at, reason) SELECT 'call-1', ?, business, ?, stored_at, caller, opened_at,"
            " ended_at, reason FROM records",
            (body["id"], json.dumps(body).encode()),
        )
    shown = records(home, "show", "call-1").stdout
    assert "Are you open?" in shown
    assert "ending    caller_hung_up\n" in shown
    done = records(home, "verify", "--json")
    assert (done.exit_code, json.loads(done.stdout)["same"]) == (0, 2), done.stdout
