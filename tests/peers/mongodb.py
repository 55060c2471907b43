"""A MongoDB for tests: mongo-java-server, in memory, which speaks the protocol of MongoDB 4.2.

Maven fetches it once into `.cache`; Maven and a JDK come from the machine.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["needs_java", "running_mongodb"]

_ROOT = Path(__file__).parents[2]
_SOURCE = Path(__file__).parent / "mongodb_server"
_CACHE = _ROOT / ".cache" / "mongodb"
_FETCH_SECONDS = 300

needs_java = pytest.mark.skipif(
    not (shutil.which("mvn") and shutil.which("javac")), reason="needs Maven and a JDK"
)


@contextmanager
def running_mongodb(port: int = 0) -> Iterator[int]:
    """Yield the port of an empty server on 127.0.0.1, a free one unless it is given."""
    command = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{_CACHE}/lib/*:{_CACHE}", "MongoDB"]
    _built()
    process = subprocess.Popen(
        [*command, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.stdin.close()  # it ends with its input, even when we are killed
        process.stdout.close()
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def _built() -> None:
    """Fetch and compile what is not there yet, one process at a time."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    source = _SOURCE / "MongoDB.java"
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _CACHE / "MongoDB.class"
        newest = max((_SOURCE / name).stat().st_mtime for name in ("pom.xml", "MongoDB.java"))
        if done.exists() and done.stat().st_mtime > newest:
            return
        pom = ["-f", str(_SOURCE / "pom.xml"), f"-DoutputDirectory={_CACHE}/lib"]
        _run("mvn", "-q", "-B", *pom, "dependency:copy-dependencies")
        _run("javac", "-cp", f"{_CACHE}/lib/*", "-d", str(_CACHE), str(source))


def _run(*command: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
