from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.thirdring.records.kept import at_once, keep, talk
from thirdring.home import Home

ROOT = Path(__file__).parents[1]


def ring(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    ours = ("LIVEKIT_", "OPENAI_", "THIRDRING_")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "ring.py", "records", *arguments],
        cwd=ROOT,
        env={**rest, "THIRDRING_HOME": str(home.root)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("list",), 1),
        (("list", "--since", "yesterday"), 2),
        (("show", "x", "--format", "xml"), 2),
        (("status", "--max-wait", "x"), 2),
        (("replay",), 2),
    ],
)
def test_a_mistake_is_told_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    """What a user can mend is a message; the exit code tells wrong use from what went wrong."""
    done = ring(Home(tmp_path), *arguments)
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """Behind `| head` a list ends in silence."""
    home = Home(tmp_path)
    at_once(keep(home, {"call-1": talk()}))
    command = f"{sys.executable} ring.py records list --json | true"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        env={**os.environ, "THIRDRING_HOME": str(home.root), "THIRDRING_STORE": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
