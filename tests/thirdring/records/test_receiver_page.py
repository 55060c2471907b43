from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from local.parts.ports import free_port
from tests.samples import SECRET
from tests.test_documentation import program_in
from tests.thirdring.records.kept import configuration, keep, records, talk
from thirdring.home import Home
from thirdring.record import record_id
from thirdring.sinks.signing import sign
from thirdring.store import open_store
from thirdring.store.history import bodies


@dataclass
class Shop:
    """The receiver of the page, as it stands there, and what it has kept."""

    url: str
    folder: Path
    client: httpx.AsyncClient

    async def send(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Post what a sender claims to be ours."""
        return await self.client.post(self.url, headers=headers, content=body)

    def kept(self) -> dict[str, bytes]:
        with closing(sqlite3.connect(self.folder / "records.db")) as database:
            return dict(database.execute("SELECT id, body FROM records"))


@asynccontextmanager
async def receiver(folder: Path) -> AsyncIterator[Shop]:
    """Run the program of the page in a folder of its own, and kill it in the end."""
    secret, port = SECRET.get_secret_value(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program_in("records.md")),
        cwd=folder,
        env={**os.environ, "THIRDRING_WEBHOOK_SECRET": secret, "PORT": str(port)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    # Tried again, longer each time, until it listens.
    transport = httpx.AsyncHTTPTransport(retries=7)
    try:
        async with httpx.AsyncClient(transport=transport) as client:
            shop = Shop(f"http://127.0.0.1:{port}/", folder, client)
            await client.get(shop.url)
            yield shop
    finally:
        process.kill()
        await process.wait()


async def test_the_receiver_of_the_page_takes_each_record_once(tmp_path: Path) -> None:
    """A real courier delivers to it; sent again, by replay, the record is there once, as stored."""
    home = Home(tmp_path / "home")
    async with receiver(tmp_path) as shop:
        await keep(home, {"call-1": talk("Hi"), "call-2": talk("Grüße")}, url=shop.url)
        config = configuration(tmp_path, shop.url)
        done = records(home, "replay", "--since", "2026-11-20", "--yes", "--config", str(config))
        assert done.exit_code == 0
        await keep(home, {}, url=shop.url)
    listed = map(json.loads, records(home, "list", "--json").stdout.splitlines())
    assert [each["deliveries"][0]["state"] for each in listed] == ["delivered"] * 2
    kept = shop.kept()
    assert set(kept) == {str(record_id(call_id)) for call_id in ("call-1", "call-2")}
    async with open_store(home, {}) as store:
        assert set(kept.values()) == set((await bodies(store, ["call-1", "call-2"])).values())


async def test_the_receiver_of_the_page_refuses_what_is_not_ours(tmp_path: Path) -> None:
    """Forged, changed, old, from the future, without headers or malformed: 401, and nothing kept;
    with the second of two signatures, as while a secret is changed, it is taken."""
    body, now = b'{"id": "one"}', datetime.now(UTC)
    good = signed(body, now)
    other = signed(body, now, SecretStr("whsec_" + "A" * 32))
    refused = [
        (other, body),
        (good, b'{"id": "two"}'),
        ({**good, "webhook-id": "two"}, body),
        (signed(body, now - timedelta(minutes=6)), body),
        (signed(body, now + timedelta(minutes=6)), body),
        ({}, body),
        ({**good, "webhook-signature": "v1"}, body),
        ({**good, "webhook-signature": "v1,%%%"}, body),
        ({**good, "webhook-timestamp": "soon"}, body),
        (good, b"\xff\xfe"),
    ]
    async with receiver(tmp_path) as shop:
        answers = [(await shop.send(headers, data)).status_code for headers, data in refused]
        both = f"{other['webhook-signature']} {good['webhook-signature']}"
        taken = await shop.send({**good, "webhook-signature": both}, body)
    assert answers == [401] * 10
    assert (taken.status_code, shop.kept()) == (204, {"one": body})


def signed(body: bytes, at: datetime, secret: SecretStr = SECRET) -> dict[str, str]:
    return {
        "webhook-id": "one",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": sign(secret, "one", at, body),
    }
