"""livekit-server dies or freezes under the gateway: no caller is left in silence."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest
from livekit import api
from pydantic import SecretStr

from local.parts.livekit_server import Keys, livekit_server
from sip.gateway import Patience
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import agent_for
from tests.sip.gateway.sip_phone import Phone, calling_from
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.timeout(60)]


@asynccontextmanager
async def mortal_server(folder: Path) -> AsyncIterator[tuple[LiveKitAccess, int]]:
    """Run a livekit-server that a test may kill; its process id comes with its keys."""
    keys = Keys()
    part = livekit_server(folder / "livekit-server.log", keys)
    process = await asyncio.create_subprocess_exec(
        *part.argv,
        env={**os.environ, **part.env},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            while not await part.ready():  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(0.02)
        secret = SecretStr(keys.api_secret)
        yield (
            LiveKitAccess(url=part.address, api_key=keys.api_key, api_secret=secret),
            process.pid,
        )
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def answered(
    stack: AsyncExitStack, gateway: tuple[str, int], access: LiveKitAccess, caller: str
) -> Phone:
    """Return the phone of an answered call."""
    phone = await stack.enter_async_context(calling_from("127.0.0.1", gateway, caller=caller))
    server = await stack.enter_async_context(
        api.LiveKitAPI(access.url, access.api_key, access.api_secret.get_secret_value())
    )
    phone.invite(LINE)
    await stack.enter_async_context(agent_for(server, access, caller))
    assert (await phone.final()).status == 200
    return phone


async def test_a_livekit_server_that_dies_ends_the_call_and_the_connection(
    run_gateway: RunGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """BYE to the caller, and nothing of the call goes on trying to reach the room."""
    caplog.set_level(logging.INFO)
    async with AsyncExitStack() as stack:
        access, server = await stack.enter_async_context(mortal_server(tmp_path))
        gateway = run_gateway(access=access, patience=Patience(company=0.5))
        address = await stack.enter_async_context(gateway)
        phone = await answered(stack, (address.host, address.port), access, "+15550160")
        os.kill(server, signal.SIGKILL)
        await phone.until(method="BYE")
    ended = [one for one in caplog.records if one.getMessage() == "gateway call ended"]
    assert [vars(one)["reason"] for one in ended] == ["no connection to livekit-server"]
    assert "did not end well" not in caplog.text


async def test_a_frozen_livekit_server_does_not_let_callers_wait(
    run_gateway: RunGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that comes while nothing answers is refused, with one line about the reason."""
    async with AsyncExitStack() as stack:
        access, server = await stack.enter_async_context(mortal_server(tmp_path))
        address = await stack.enter_async_context(run_gateway(access=access))
        os.kill(server, signal.SIGSTOP)
        gateway = (address.host, address.port)
        async with calling_from("127.0.0.1", gateway, caller="+15550161") as phone:
            phone.invite(LINE)
            assert (await phone.final()).status == 486
    ours = [one for one in caplog.records if one.name.startswith("sip.gateway")]
    errors = [one.getMessage() for one in ours if one.levelno >= logging.ERROR]
    assert len(errors) == 1
    assert "livekit-server does not serve it" in errors[0]
