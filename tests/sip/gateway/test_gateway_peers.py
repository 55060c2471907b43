"""Independent SIP programs against the gateway: sipp by UDP and TCP, Debian's baresip."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import struct
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from livekit import api

from sip.gateway import GatewayAddress
from tests.sip.gateway.conftest import LINE, RunGateway
from tests.sip.gateway.room_side import agent_for, room_of
from tests.sip.gateway.sip_phone import calling_from
from thirdring.access import LiveKitAccess

pytestmark = [pytest.mark.server, pytest.mark.sip, pytest.mark.timeout(60)]

SCENARIOS = Path(__file__).parents[2] / "peers" / "sipp"
needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")
needs_baresip = pytest.mark.skipif(
    shutil.which("baresip") is None, reason="baresip is not installed"
)


def _free_udp_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def sipp(
    scenario: str,
    address: GatewayAddress,
    folder: Path,
    *,
    transport: str = "u1",
    number: str = LINE,
    caller: str,
) -> None:
    """Run one scenario once and fail with its messages when it did not go as written."""
    (folder / "callers.csv").write_text(f"SEQUENTIAL\n{caller}\n")
    process = await asyncio.create_subprocess_exec(
        "sipp",
        f"127.0.0.1:{address.port}",
        *("-sf", str(SCENARIOS / scenario), "-inf", str(folder / "callers.csv")),
        *("-s", number, "-t", transport, "-i", "127.0.0.1", "-mi", "127.0.0.1"),
        *("-p", str(_free_udp_port()), "-mp", "26000", "-m", "1", "-nostdin"),
        *("-timeout", "20s", "-trace_err", "-error_file", str(folder / "errors.log")),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, problems = await process.communicate()
    errors = folder / "errors.log"
    assert process.returncode == 0, errors.read_text() if errors.exists() else problems.decode()


@needs_sipp
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["UDP", "TCP"])
async def test_sipp_places_a_call(
    run_gateway: RunGateway,
    server: api.LiveKitAPI,
    access: LiveKitAccess,
    tmp_path: Path,
    transport: str,
) -> None:
    """A PCMA-only caller rings, is answered with PCMA and hangs up."""
    caller = f"+1555013{'ut'.index(transport[0])}"
    async with run_gateway() as address:
        calling = asyncio.create_task(
            sipp("call.xml", address, tmp_path, transport=transport, caller=caller)
        )
        async with agent_for(server, access, caller) as agent:
            await calling
            await agent.until(lambda: agent.statuses == ["active", "hangup"])


@needs_sipp
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["UDP", "TCP"])
async def test_sipp_gives_up_while_it_rings(
    run_gateway: RunGateway, tmp_path: Path, transport: str
) -> None:
    """CANCEL is answered 200 and the INVITE 487."""
    async with run_gateway() as address:
        await sipp("cancel.xml", address, tmp_path, transport=transport, caller="+15550135")


@needs_sipp
@pytest.mark.parametrize("transport", ["u1", "t1"], ids=["UDP", "TCP"])
async def test_sipp_dials_a_number_that_no_line_has(
    run_gateway: RunGateway, server: api.LiveKitAPI, tmp_path: Path, transport: str
) -> None:
    """404 at once, no ringing, no room."""
    async with run_gateway() as address:
        await sipp(
            "unknown_number.xml",
            address,
            tmp_path,
            transport=transport,
            number="+12025550199",
            caller="+15550136",
        )
        rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
        assert not [room for room in rooms if "+15550136" in room.name]


@needs_sipp
async def test_sipp_is_one_call_too_many(
    run_gateway: RunGateway, server: api.LiveKitAPI, tmp_path: Path
) -> None:
    """Over the limit: 486, and no room for the call that was refused."""
    async with (
        run_gateway(max_calls=1) as address,
        calling_from("127.0.0.1", (address.host, address.port), caller="+15550137") as phone,
    ):
        phone.invite(LINE)
        await room_of(server, "+15550137")
        await sipp("busy.xml", address, tmp_path, caller="+15550138")
        rooms = (await server.room.list_rooms(api.ListRoomsRequest())).rooms
        assert not [room for room in rooms if "+15550138" in room.name]
        phone.cancel()
        await phone.final()


@contextlib.asynccontextmanager
async def _baresip(folder: Path, target: str) -> AsyncIterator[asyncio.subprocess.Process]:
    with wave.open(str(folder / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(struct.pack("<8h", 0, 9000, 16000, 9000, 0, -9000, -16000, -9000) * 20000)
    port = _free_udp_port()
    (folder / "config").write_text(
        f"sip_listen 127.0.0.1:{port}\n"
        f"audio_source aufile,{folder}/tone.wav\naudio_player aubridge,none\n"
        "ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n"
        "rtp_ports 27000-27100\nmodule_path /usr/lib/baresip/modules\n"
        "module stdio.so\nmodule g711.so\nmodule aufile.so\nmodule aubridge.so\n"
        "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n"
    )
    (folder / "accounts").write_text(
        f"<sip:+15550140@127.0.0.1:{port}>;regint=0;audio_codecs=PCMU/8000/1\n"
    )
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-4", "-n", "127.0.0.1", "-f", str(folder), "-t", "30", "-e", f"d {target}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        # Should it fail, it sends SIGTERM to its whole process group.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@needs_baresip
async def test_baresip_is_heard_and_hung_up(
    run_gateway: RunGateway, server: api.LiveKitAPI, access: LiveKitAccess, tmp_path: Path
) -> None:
    """A softphone that drops the `+` reaches the line; its tone is heard; DeleteRoom ends it."""
    async with run_gateway() as address:
        target = address.uri(LINE.removeprefix("+"))
        async with _baresip(tmp_path, target), agent_for(server, access, "+15550140") as agent:
            await agent.until(lambda: agent.loudest > 1000)
            assert agent.caller.attributes["sip.trunkPhoneNumber"] == LINE
            await server.room.delete_room(api.DeleteRoomRequest(room=agent.room.name))
            await agent.until(lambda: not agent.room.isconnected())
