"""The gateway takes up new lines, and who may call, while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from zoneinfo import ZoneInfo

import baresip
import pytest
from baresip import BaresipError
from livekit import api

from sip.gateway.not_found import answer_not_found
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import room_of, until_gone
from tests.sip.gateway.sip_phone import calling_from
from thirdring.settings import Business, GatewaySettings, Line, Settings

pytestmark = pytest.mark.server

OTHER = "+12025550143"


def settings(*numbers: str, allowed: str = "127.0.0.0/8") -> Settings:
    lines = tuple(Line(number=number, workflow="patient_questions") for number in numbers)
    business = Business(slug="b", name="B", time_zone=ZoneInfo("UTC"), lines=lines)
    gateway = GatewaySettings(allowed_addresses=(ip_network(allowed),))
    return Settings(businesses=(business,), gateway=gateway)


class Changes:
    """Changes that a test makes; each returns once it has been taken up."""

    def __init__(self) -> None:
        self._given: asyncio.Queue[Settings] = asyncio.Queue()
        self._done = asyncio.Event()

    async def __call__(self, changed: Settings) -> None:
        self._done.clear()
        await self._given.put(changed)
        await self._done.wait()

    async def follow(self) -> AsyncIterator[Settings]:
        while True:
            yield await self._given.get()
            self._done.set()


async def status_of(gateway: tuple[str, int], number: str, source: str = "127.0.0.1") -> int:
    """Return how a call that nobody answers is refused."""
    async with calling_from(source, gateway) as phone:
        phone.invite(number)
        return (await phone.final()).status


async def test_a_new_line_is_answered_and_an_old_one_is_not(
    run_gateway: RunGateway, server: api.LiveKitAPI
) -> None:
    """404 before and after it has a line; it rings while it has one."""
    changes = Changes()
    async with run_gateway(changes=changes.follow()) as address:
        gateway = (address.host, address.port)
        assert await status_of(gateway, OTHER) == 404
        await changes(settings(LINE, OTHER))
        async with calling_from("127.0.0.1", gateway, caller="+15550161") as phone:
            phone.invite(OTHER)
            room = await room_of(server, "+15550161")
            await changes(settings(LINE))
            assert await status_of(gateway, OTHER) == 404
            phone.cancel()
            assert (await phone.final()).status == 487
            await until_gone(server, room)
        await changes(settings(OTHER))
        assert await status_of(gateway, LINE) == 404
        async with calling_from("127.0.0.1", gateway, caller="+15550162") as phone:
            phone.invite(OTHER.removeprefix("+"))
            await room_of(server, "+15550162")
            phone.cancel()
            await phone.final()


async def test_a_line_that_the_stack_did_not_take_is_tried_again(
    run_gateway: RunGateway, server: api.LiveKitAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the next change, and the other lines ring all the time."""
    changes, create, failures = Changes(), baresip.UserAgent.create, [BaresipError("no memory")]

    async def fails_once(
        runtime: baresip.Runtime, account: baresip.Account, **options: str
    ) -> object:
        if failures:
            raise failures.pop()
        return await create(runtime, account, **options)

    async with run_gateway(changes=changes.follow()) as address:
        gateway = (address.host, address.port)
        monkeypatch.setattr(baresip.UserAgent, "create", fails_once)
        await changes(settings(LINE, OTHER))
        assert await status_of(gateway, OTHER) == 404
        await changes(settings(LINE, OTHER))
        for number, caller in ((LINE, "+15550164"), (OTHER, "+15550165")):
            async with calling_from("127.0.0.1", gateway, caller=caller) as phone:
                phone.invite(number)
                await room_of(server, caller)
                phone.cancel()
                await phone.final()


async def test_who_may_call_changes_too(run_gateway: RunGateway, server: api.LiveKitAPI) -> None:
    """From the next call on."""
    changes = Changes()
    async with run_gateway(changes=changes.follow()) as address:
        gateway = (address.host, address.port)
        await changes(settings(LINE, allowed="127.0.0.2/32"))
        assert await status_of(gateway, LINE) == 486
        async with calling_from("127.0.0.2", gateway, caller="+15550163") as phone:
            phone.invite(LINE)
            await room_of(server, "+15550163")
            phone.cancel()
            await phone.final()


async def test_lines_beyond_its_room_are_told(
    run_gateway: RunGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """By number, and the others ring."""
    changes = Changes()
    numbers = [LINE, *(f"+1202555{1000 + i}" for i in range(260))]
    async with run_gateway(changes=changes.follow()) as address:
        await changes(settings(*numbers))
        gateway = (address.host, address.port)
        assert await status_of(gateway, numbers[-1]) == 404
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "no room for" in record.getMessage()
    assert numbers[-1] in record.getMessage()
    assert numbers[5] not in record.getMessage()


def test_a_build_that_cannot_say_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Another library, or one without the symbols: the call is declined then."""
    asked: Callable[..., bool] = answer_not_found
    assert not asked("id", "libnone.so")
    assert "answered 486" in caplog.text
