"""Records as lines of a file that others share, move and fill."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers.counts import tell
from tests.samples import at
from thirdring.sinks.file import LOOK_BACK_BYTES, FileSink
from thirdring.sinks.results import DeliveryResult, Outcome

ROOT = Path(__file__).parents[3]
DONE = DeliveryResult(Outcome.DELIVERED)
WRITER = """
import asyncio, json, sys
from datetime import UTC, datetime
from pathlib import Path
from thirdring.sinks.file import FileSink

async def main():
    sink = FileSink(Path(sys.argv[1]))
    for number in range(int(sys.argv[3])):
        body = json.dumps({"writer": sys.argv[2], "number": number, "text": "x" * 3000}).encode()
        result = await sink.deliver("id", body, datetime.now(UTC))
        assert result.error is None, result

asyncio.run(main())
"""


async def put(sink: FileSink, body: bytes) -> DeliveryResult:
    return await sink.deliver("id-1", body, at(0))


async def test_a_record_is_a_line(tmp_path: Path) -> None:
    """Each ends its own line, in a file that only its user reads."""
    path = tmp_path / "records.jsonl"
    sink = FileSink(path)
    assert [await put(sink, b'{"a": 1}'), await put(sink, b'{"a": 2}')] == [DONE, DONE]
    assert path.read_bytes() == b'{"a": 1}\n{"a": 2}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_body_of_several_lines_becomes_one(tmp_path: Path) -> None:
    """A line break in JSON is only white space."""
    path = tmp_path / "records.jsonl"
    body = json.dumps({"a": "b\nc\r\n\u2028", "d": [1]}, indent=1).replace("\n", "\r\n").encode()
    assert await put(FileSink(path), body) == DONE
    (line,) = path.read_bytes().splitlines()
    assert json.loads(line) == json.loads(body)


async def test_a_torn_line_swallows_nothing(tmp_path: Path) -> None:
    """After half a line of a crash the next record begins a new one."""
    path = tmp_path / "records.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2')
    assert await put(FileSink(path), b'{"a": 2}') == DONE
    assert path.read_bytes() == b'{"a": 1}\n{"a": 2\n{"a": 2}\n'


async def test_the_same_again_is_left_out(tmp_path: Path) -> None:
    """A courier that died before it could note a delivery repeats it; the file has it once."""
    path = tmp_path / "records.jsonl"
    bodies = [b'{"a": 1}', b'{"a": 11}', b'{"a": 1}', b'{"a": 11}', b'"a": 1}']
    for body in bodies:
        assert await put(FileSink(path), body) == DONE
    assert path.read_bytes().splitlines() == [b'{"a": 1}', b'{"a": 11}', b'"a": 1}']
    with path.open("ab") as file:
        file.write(b"x" * (LOOK_BACK_BYTES + 100) + b"\n")
    await put(FileSink(path), b'{"a": 1}')
    assert path.read_bytes().endswith(b'x\n{"a": 1}\n')  # too long ago to be looked for


def test_several_processes_share_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """None of their lines is torn or lost."""
    path, count = tmp_path / "records.jsonl", 100
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, str(number), str(count)], cwd=ROOT) for number in range(3)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 3
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len({(line["writer"], line["number"]) for line in lines}) == len(lines) == 3 * count
    tell(capsys, f"lines torn or lost by three writers: 0 of n={len(lines)}")


async def test_a_killed_writer_costs_half_a_line_at_most(tmp_path: Path) -> None:
    """What others add afterwards can be read, whenever it died."""
    path = tmp_path / "records.jsonl"
    command = [sys.executable, "-c", WRITER, str(path), "0", "1000000"]
    writer = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    async with asyncio.timeout(30):
        while not path.exists() or path.stat().st_size < 50_000:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    writer.kill()
    await writer.wait()
    assert await put(FileSink(path), b'{"last": true}') == DONE
    *lines, last = path.read_bytes().splitlines()
    assert json.loads(last) == {"last": True}
    assert all(json.loads(line) for line in lines[:-1])


async def test_a_file_that_is_moved_away_begins_anew(tmp_path: Path) -> None:
    """As log rotation does it, also while the lock is waited for."""
    path, old = tmp_path / "records.jsonl", tmp_path / "records.1"
    sink = FileSink(path)
    await put(sink, b"1")
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = asyncio.create_task(put(sink, b"2"))
        await asyncio.sleep(0)
        path.rename(old)
    assert await waiting == DONE
    assert (old.read_bytes() + path.read_bytes()).splitlines() == [b"1", b"2"]
    await put(sink, b"3")
    assert path.read_bytes().endswith(b"3\n")


async def test_a_lock_that_is_held_is_waited_for_a_while(tmp_path: Path) -> None:
    """Then it is tried again later."""
    path = tmp_path / "records.jsonl"
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = await put(FileSink(path, lock_seconds=0.05), b"1")
    assert result.outcome is Outcome.RETRY
    assert result.error == f"the file {path}: another process has locked it for too long"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/records.jsonl", "its folder is not there"),
        ("folder", "Is a directory"),
        ("pipe", "is no regular file"),
        ("file/records.jsonl", "Not a directory"),
        ("x" * 300, "File name too long"),
    ],
)
async def test_a_file_that_cannot_be_written_is_tried_again(
    tmp_path: Path, name: str, why: str
) -> None:
    """The error says which file, and why."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    result = await put(FileSink(tmp_path / name), b"1")
    assert result.outcome is Outcome.RETRY
    assert result.error
    assert result.error.startswith(f"the file {tmp_path}"[:200])
    assert why in result.error or len(name) == 300


async def test_a_full_disk_tears_no_line(tmp_path: Path) -> None:
    """What had been written of a record is taken back, and the next attempt succeeds."""
    path = tmp_path / "records.jsonl"
    sink = FileSink(path)
    await put(sink, b'{"a": 1}')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        result = await put(sink, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert result == DeliveryResult(Outcome.RETRY, error=f"the file {path}: File too large")
    assert path.read_bytes() == b'{"a": 1}\n'
    assert await put(sink, b"x" * 10_000) == DONE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_device_is_no_file(tmp_path: Path) -> None:
    """Also by a link."""
    (tmp_path / "records.jsonl").symlink_to("/dev/full")
    result = await put(FileSink(tmp_path / "records.jsonl"), b"1")
    assert result.error
    assert result.error.endswith("is no regular file")
