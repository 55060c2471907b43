"""`python -m local.caller` as a process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tests.local.caller.answering_peer import Manners, answering_peer


async def run(*arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.caller", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def script(folder: Path, *steps: str) -> str:
    path = folder / "call.yaml"
    path.write_text("steps:\n" + "".join(f"  - {step}\n" for step in steps), encoding="utf-8")
    return str(path)


async def test_events_are_lines_and_the_result_is_a_file(tmp_path: Path) -> None:
    """Standard output is one JSON object a line; the result holds every measure."""
    result = tmp_path / "out" / "result.json"
    async with answering_peer(Manners()) as peer:
        code, out, err = await run(
            *("--to", peer.uri, "--script", script(tmp_path, "burst", "hang_up")),
            *("--result", str(result), "--events", "-"),
        )
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert {key: events[0][key] for key in ("event", "direction", "message", "status")} == {
        "event": "sip",
        "direction": "out",
        "message": "INVITE",
        "status": None,
    }
    assert [event["event"] for event in events if "text" in event] == ["speaking", "spoken"]
    assert events[-1]["event"] == "ended"
    assert json.loads(result.read_text(encoding="utf-8"))["measures"]["invite_to_200_ms"] > 0


async def test_a_refused_call_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """486 is told on standard error, without a traceback."""
    async with answering_peer(Manners(status=486, reason="Busy Here")) as peer:
        code, _, err = await run("--to", peer.uri, "--script", script(tmp_path, "hang_up"))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "486 Busy Here" in err


async def test_a_wrong_address_is_one_line_and_exit_2(tmp_path: Path) -> None:
    """The address is named, nothing is called."""
    code, _, err = await run("--to", "clinic", "--script", script(tmp_path, "hang_up"))
    assert (code, len(err.splitlines())) == (2, 1)
    assert "'clinic' is not a SIP address" in err


async def test_terminating_the_command_hangs_up(tmp_path: Path) -> None:
    """SIGTERM leaves no call behind."""
    arguments = ("--script", script(tmp_path, "stay_silent: 60"))
    async with answering_peer(Manners()) as peer:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "local.caller", "--to", peer.uri, *arguments),
            stderr=asyncio.subprocess.PIPE,
        )
        await peer.until("ACK")
        process.terminate()
        await peer.until("BYE")
        _, err = await process.communicate()
    assert (process.returncode, err) == (130, b"interrupted\n")
