from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.peers.endpoint import serving
from tests.samples import business, settings
from tests.thirdring.records.kept import configuration, records, talk, write
from thirdring.courier import run
from thirdring.home import Home
from thirdring.record import record_id


async def test_the_commands_work_on_either_store_while_a_courier_runs(
    tmp_path: Path, store_environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """List, show, status, verify, dead and replay, with nothing but `THIRDRING_STORE` set."""
    for name, value in store_environ.items():
        monkeypatch.setenv(name, value)
    home = Home(tmp_path / "home")

    async def say(*arguments: str) -> str:
        done = await asyncio.to_thread(partial(records, home, *arguments, environ=store_environ))
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    async with serving() as endpoint:
        config = str(configuration(tmp_path, endpoint.url))
        courier = asyncio.create_task(run(home, settings(business(url=endpoint.url))))
        await write(home, "call-1", talk("Are you open?"))
        await write(home, "call-2", talk("Hello?"))
        await endpoint.wait(2)
        listed = [json.loads(line) for line in (await say("list", "--json")).splitlines()]
        assert {each["call_id"] for each in listed} == {"call-1", "call-2"}
        assert "Are you open?" in await say("show", str(record_id("call-1"))[:9])
        assert await say("dead") == ""
        assert json.loads(await say("status", "--json", "--max-wait", "9999w"))["records"] == 2
        assert json.loads(await say("verify", "--json"))["same"] == 2
        await say("replay", "--since", "2026-11-20", "--yes", "--config", config)
        courier.cancel()
        await asyncio.wait([courier])
    assert home.store.exists() == (not store_environ)
