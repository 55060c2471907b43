"""`python ring.py new workflow`: a folder that works as it is, or a clear no."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.studio.new import make
from thirdring.errors import WrongUse

ROOT = Path(__file__).parents[3]
NEEDED = ("ring.py", "thirdring.yaml", "local", "sip", "thirdring", "tools", "workflows")
PATIENCE = 60
WEBHOOK = {
    "THIRDRING_WEBHOOK_URL": "http://127.0.0.1:9/",
    "THIRDRING_WEBHOOK_SECRET": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of what the commands need, to make workflows in."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    return copy


def ring(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the copy, without anybody's keys."""
    ours = ("LIVEKIT_", "OPENAI_", "THIRDRING_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "ring.py", *arguments],
        cwd=checkout,
        env={**environ, **WEBHOOK, "THIRDRING_HOME": str(checkout / "home")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_new_workflow_works_as_it_is(checkout: Path) -> None:
    """It is made, checked, drawn and called, and no other file was touched."""
    made = ring(checkout, "new", "workflow", "lock_smith")
    assert (made.returncode, made.stderr) == (0, "")
    assert "workflow: lock_smith" in made.stdout
    checked = ring(checkout, "check")
    assert (checked.returncode, checked.stderr) == (0, "")
    drawn = ring(checkout, "graph", "lock_smith")
    assert 'a0["lock_smith"]:::agent' in drawn.stdout
    assert ring(checkout, "graph", "lock_smith", "--output", "picture.svg").returncode == 0
    refused = ring(checkout, "graph", "lock_smith", "--output", "picture.png")
    assert refused.returncode == 2
    assert "name it .svg" in refused.stderr
    assert (checkout / "picture.svg").read_text(encoding="utf-8").startswith("<svg")
    simulated = ring(checkout, "simulate", "lock_smith")
    assert simulated.returncode == 0, simulated.stdout + simulated.stderr
    assert "2 of 2 scenarios came out as expected." in simulated.stdout


def test_a_failed_expectation_is_one_line_and_a_failure(checkout: Path) -> None:
    """What was expected and what came stand behind the scenario's name."""
    make("failing", checkout / "workflows")
    path = checkout / "workflows" / "failing" / "scenarios.yaml"
    text = path.read_text(encoding="utf-8").replace("Ann Baker}", "Bob Baker}")
    path.write_text(text, encoding="utf-8")
    simulated = ring(checkout, "simulate", "failing", "--label", "why")
    shutil.rmtree(path.parent)
    assert simulated.returncode == 1
    expected = "outcome, caller_name: got 'Ann Baker', expected 'Bob Baker'"
    assert f"FAILED  failing: Says why they call: {expected}\n" in simulated.stdout


@pytest.mark.parametrize(
    "name", ["", "Lock", "1st", "lock-smith", "../lock", "class", "l" * 41, "_lock", "sch\u00f6n"]
)
def test_a_bad_name_makes_nothing(tmp_path: Path, name: str) -> None:
    """A name that Python cannot import, or that leaves the folder, is refused."""
    with pytest.raises(WrongUse, match="is no name for a workflow"):
        make(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_workflow_that_is_there_stays(tmp_path: Path) -> None:
    """Nobody's folder is written over."""
    (tmp_path / "mine").mkdir()
    with pytest.raises(WrongUse, match="is there already"):
        make("mine", tmp_path)
    assert list((tmp_path / "mine").iterdir()) == []


def test_nothing_is_left_where_nothing_can_be_made(tmp_path: Path) -> None:
    """A folder that is missing is one line, not a traceback."""
    with pytest.raises(WrongUse, match="cannot be made"):
        make("lock", tmp_path / "missing")
