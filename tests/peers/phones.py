"""SIP programs that others wrote, as callers: sipp, and Debian's baresip."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import struct
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

__all__ = ["Softphone", "needs_baresip", "needs_livekit_sip", "needs_sipp", "sipp", "softphone"]

_SCENARIOS = Path(__file__).with_name("sipp")
needs_sipp = pytest.mark.skipif(shutil.which("sipp") is None, reason="sipp is not installed")
needs_baresip = pytest.mark.skipif(
    shutil.which("baresip") is None, reason="baresip is not installed"
)
needs_livekit_sip = (
    pytest.mark.livekit_sip,
    # It may be the first to want a stack, beside another one.
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        shutil.which(os.environ.get("LIVEKIT_SIP_BIN") or "livekit-sip") is None,
        reason="livekit-sip is not on PATH, nor named by LIVEKIT_SIP_BIN",
    ),
)
"""The marks of a test that calls through livekit-sip itself."""


def _free_udp_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def sipp(
    scenario: str, port: int, folder: Path, *, transport: str = "u1", number: str, caller: str
) -> None:
    """Run one scenario once and fail with its messages when it did not go as written."""
    (folder / "callers.csv").write_text(f"SEQUENTIAL\n{caller}\n")
    process = await asyncio.create_subprocess_exec(
        "sipp",
        f"127.0.0.1:{port}",
        *("-sf", str(_SCENARIOS / scenario), "-inf", str(folder / "callers.csv")),
        *("-s", number, "-t", transport, "-i", "127.0.0.1", "-mi", "127.0.0.1"),
        # Another sipp may run at the same time: it ends where its port of audio is taken.
        *("-p", str(_free_udp_port()), "-mp", str(_free_udp_port()), "-m", "1", "-nostdin"),
        *("-timeout", "20s", "-trace_err", "-error_file", str(folder / "errors.log")),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, problems = await process.communicate()
    errors = folder / "errors.log"
    assert process.returncode == 0, errors.read_text() if errors.exists() else problems.decode()


@dataclass(frozen=True)
class Softphone:
    """A baresip that has dialled; it sends a loud tone, or silence."""

    process: asyncio.subprocess.Process
    folder: Path

    async def has_listened(self, seconds: float, timeout: float = 30) -> None:
        """Wait until so much of the far end, silence included, has been written down."""
        async with asyncio.timeout(timeout):
            while sum(one.stat().st_size for one in self._recordings()) < 16000 * seconds:  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(0.05)

    def _recordings(self) -> list[Path]:
        return list(self.folder.glob("dump-*-dec.wav"))

    async def type(self, keys: str) -> None:
        """Type into its menu: `x` holds the call, `X` resumes it."""
        assert self.process.stdin is not None
        self.process.stdin.write(keys.encode())
        await self.process.stdin.drain()

    async def hang_up(self) -> None:
        """Send BYE and end, so that what was heard is written to the last sample."""
        self.process.terminate()
        await self.process.wait()

    def heard(self) -> float:
        """Return for how many seconds the far end was loud; only after `hang_up`."""
        (recording,) = self._recordings()
        with wave.open(str(recording)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            rate = file.getframerate()
        loud = int(np.count_nonzero(np.abs(samples.astype(np.int32)) > 500))
        return float(loud / rate)


@contextlib.asynccontextmanager
async def softphone(
    folder: Path, target: str, *, caller: str, codec: str = "PCMU", tone: bool = True
) -> AsyncIterator[Softphone]:
    """Dial `target` with Debian's baresip, which writes down what it hears."""
    with wave.open(str(folder / "voice.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        wave_form = (0, 9000, 16000, 9000, 0, -9000, -16000, -9000) if tone else (0,) * 8
        file.writeframes(struct.pack("<8h", *wave_form) * 20000)
    port = _free_udp_port()
    (folder / "config").write_text(
        f"sip_listen 127.0.0.1:{port}\n"
        f"audio_source aufile,{folder}/voice.wav\naudio_player aufile,{folder}/played.wav\n"
        "ausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n"
        f"snd_path {folder}\n"
        "rtp_ports 27000-27100\nmodule_path /usr/lib/baresip/modules\n"
        "module stdio.so\nmodule g711.so\nmodule aufile.so\nmodule sndfile.so\n"
        "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\n"
    )
    (folder / "accounts").write_text(
        f"<sip:{caller}@127.0.0.1:{port}>;regint=0;audio_codecs={codec}/8000/1\n"
    )
    process = await asyncio.create_subprocess_exec(
        *("baresip", "-4", "-n", "127.0.0.1", "-f", str(folder), "-t", "60", "-e", f"d {target}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        # Should it fail, it sends SIGTERM to its whole process group.
        start_new_session=True,
    )
    try:
        yield Softphone(process, folder)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
