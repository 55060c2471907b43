"""Calls to SIP programs that others wrote."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.caller import LiveCall, Script, open_call, place_call
from local.caller.voice import tone

pytestmark = pytest.mark.sip


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@contextlib.asynccontextmanager
async def running(*command: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a far end with an open standard input, and end it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TERM": "dumb"},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def answered_call(target: str) -> AsyncIterator[LiveCall]:
    """Call until the far end listens: a program that has just started refuses at first."""
    async with asyncio.timeout(20):
        while True:
            async with open_call(target) as call:
                done = (call.answered, call.ended, call.unreachable)
                await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
                if call.answered.done():
                    yield call
                    return
            await asyncio.sleep(0.05)


async def test_sipp_takes_a_whole_call(tmp_path: Path) -> None:
    """sipp's own callee accepts our INVITE, ACK and BYE and counts a success."""
    port = free_port()
    command = (program("sipp"), "-sn", "uas", "-i", "127.0.0.1", "-p", str(port), "-m", "1")
    async with running(*command, "-nostdin", folder=tmp_path) as process:
        async with answered_call(f"sip:service@127.0.0.1:{port}") as call:
            await call.hang_up()
        assert await asyncio.wait_for(process.wait(), 20) == 0


BARESIP_CONFIG = """
sip_listen 127.0.0.1:{port}
audio_source aufile,{folder}/says.wav
audio_player aufile,{folder}/heard.wav
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports 24000-24100
module_path {modules}
module stdio.so
module g711.so
module aufile.so
module_app account.so
module_app menu.so
"""


async def test_baresip_is_heard_and_hangs_up_with_us(tmp_path: Path) -> None:
    """An independent phone answers, its tone reaches us, and no packet is lost."""
    modules = next(Path("/usr/lib").glob("**/baresip/modules"), Path("/usr/lib/baresip/modules"))
    baresip, port = program("baresip"), free_port()
    text = BARESIP_CONFIG.format(port=port, folder=tmp_path, modules=modules)
    (tmp_path / "config").write_text(text, encoding="utf-8")
    with wave.open(str(tmp_path / "says.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", "NONE"))
        file.writeframes(tone(440, 10_000).tobytes())
    account = f"<sip:clinic@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs=PCMU/8000/1\n"
    (tmp_path / "accounts").write_text(account, encoding="utf-8")
    target = f"sip:clinic@127.0.0.1:{port}"
    async with running(baresip, "-4", "-n", "127.0.0.1", "-f", str(tmp_path), folder=tmp_path):
        async with answered_call(target) as call:
            await call.hang_up()
        steps = [{"wait": {"agent_speaks": True}}, {"burst": True}, {"press": "1"}, {"hang_up": 1}]
        result = await place_call(target, Script.model_validate({"steps": steps}))
    assert (result.completed, result.problem) == (True, None)
    assert result.measures.lost_packets_percent == 0
