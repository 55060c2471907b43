from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.peers.endpoint import serving
from tests.samples import SECRET, business, settings
from tests.thirdring.records.kept import configuration, keep, records, settle, talk, write
from thirdring.courier import run
from thirdring.errors import ConfigError
from thirdring.home import Home
from thirdring.record import record_id
from thirdring.store.outbox import DeliveryState


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@asynccontextmanager
async def courier(home: Home, url: str) -> AsyncIterator[None]:
    task = asyncio.create_task(run(home, settings(business(url=url))))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def replay(home: Home, config: Path, *arguments: str) -> tuple[int, str]:
    """Run the command in a thread, for a courier runs in this one's event loop."""
    done = await asyncio.to_thread(
        records, home, "replay", *arguments, "--config", str(config), "--json"
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


async def test_a_record_is_sent_again_by_the_courier_that_runs(home: Home, tmp_path: Path) -> None:
    """The same id and the same bytes, signed anew, and both pass the reference verifier."""
    async with serving() as endpoint:
        await keep(home, {"call-1": talk()}, url=endpoint.url)
        config = configuration(tmp_path, endpoint.url)
        async with courier(home, endpoint.url):
            code, said = await replay(home, config, "call-1")
            first, second = await endpoint.wait(2)
    assert (code, json.loads(said)["records"]) == (0, 1)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(record_id("call-1"))
    assert first.body == second.body
    for arrival in (first, second):
        Webhook(SECRET.get_secret_value()).verify(arrival.body, arrival.headers)


async def test_many_need_a_yes(home: Home, tmp_path: Path) -> None:
    """Without it the command says what it would send, does nothing and fails; with it, all of them
    arrive, once each."""
    async with serving() as endpoint:
        await keep(home, {f"call-{n}": talk() for n in range(5)}, url="http://127.0.0.1:9/")
        await settle(home, DeliveryState.DEAD, "call-1", "call-2", "call-3")
        config = configuration(tmp_path, endpoint.url)
        plain = records(home, "replay", "--all", "--config", str(config))
        assert plain.exit_code == 1
        assert plain.stdout == (
            "riverside_clinic/webhook: 3 records would be due, so far dead\n"
            "Nothing has been done: say --yes to send 3 records.\n"
        )
        assert len(records(home, "dead", "--json").stdout.splitlines()) == 3
        async with courier(home, endpoint.url):
            code, said = await replay(home, config, "--all", "--yes")
            arrivals = await endpoint.wait(3)
    assert (code, json.loads(said)["done"]) == (0, True)
    wanted = {str(record_id(f"call-{n}")) for n in (1, 2, 3)}
    assert wanted <= {arrival.headers["webhook-id"] for arrival in arrivals}


async def test_what_waits_behind_a_410_is_sent_when_it_is_replayed(
    home: Home, tmp_path: Path
) -> None:
    """The endpoint is parked no more: the old record arrives, and so does the next one."""
    async with serving(410) as endpoint:
        await keep(home, {"call-1": talk()}, url=endpoint.url)
        config = configuration(tmp_path, endpoint.url)
        async with courier(home, endpoint.url):
            code, said = await replay(home, config, "--all")
            await endpoint.wait(2)
            await write(home, "call-2", talk())
            arrivals = await endpoint.wait(3)
    assert (code, json.loads(said)["unparked"]) == (0, [["riverside_clinic", "webhook"]])
    assert [arrival.headers["webhook-id"] for arrival in arrivals] == [
        str(record_id(call_id)) for call_id in ("call-1", "call-1", "call-2")
    ]


async def test_a_webhook_that_came_later_gets_what_was_kept(home: Home, tmp_path: Path) -> None:
    """Records of a business that had no sink go to the one that it has now."""
    await keep(home, {"call-1": talk(), "call-2": talk()})
    async with serving() as endpoint, courier(home, endpoint.url):
        config = configuration(tmp_path, endpoint.url)
        code, said = await replay(home, config, "--since", "2026-11-20", "--yes")
        arrivals = await endpoint.wait(2)
    assert (code, {each["state"] for each in json.loads(said)["deliveries"]}) == (0, {None})
    assert {arrival.headers["webhook-id"] for arrival in arrivals} == {
        str(record_id(call_id)) for call_id in ("call-1", "call-2")
    }


async def test_nothing_to_send_again_is_no_failure(home: Home, tmp_path: Path) -> None:
    """It is said, and an endpoint that is not configured is named."""
    await keep(home, {"call-1": talk()}, url="http://127.0.0.1:9/")
    config = configuration(tmp_path)
    done = records(home, "replay", "--all", "--config", str(config))
    assert (done.exit_code, done.stdout) == (0, "nothing to send again\n")
    done = records(home, "replay", "call-1", "--sink", "file", "--config", str(config))
    assert (done.exit_code, done.stdout) == (0, "nothing to send again\n")
    config.write_text(config.read_text().replace("riverside_clinic", "oak_dental"))
    done = records(home, "replay", "call-1", "--config", str(config))
    assert "riverside_clinic/webhook is left alone" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("call-1", "--all"), ("call-1", "--since", "1d")])
async def test_it_must_be_clear_what_is_meant(home: Home, arguments: tuple[str, ...]) -> None:
    """Neither nothing nor two things at once."""
    await keep(home, {"call-1": talk()})
    done = records(home, "replay", *arguments)
    assert done.exit_code == 2
    assert "name one call, or say --all, --since or both" in " ".join(done.stderr.split())


async def test_a_wrong_configuration_sends_nothing(home: Home, tmp_path: Path) -> None:
    """Its problems are those that `check` finds."""
    await keep(home, {"call-1": talk()})
    config = configuration(tmp_path, "http://198.51.100.7/")
    done = records(home, "replay", "call-1", "--config", str(config))
    assert isinstance(done.exception, ConfigError)
