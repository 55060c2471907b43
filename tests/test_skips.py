"""Under `CI=true` a skip that is not on the list fails the run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TESTS = {
    "listed": "import pytest\n@pytest.mark.livekit_sip\ndef test_one(): pytest.skip('none here')",
    "unlisted": "import pytest\ndef test_one(): pytest.skip('no such program')",
    "module": "import pytest\npytest.importorskip('no_such_module')",
    "expected_failure": "import pytest\n@pytest.mark.xfail\ndef test_one(): raise OSError",
}


def run(folder: Path, tests: str, ci: str, *options: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = livekit_sip\nasyncio_mode = auto\n")
    (folder / "test_one.py").write_text(f"{TESTS[tests]}\n")
    (folder / "test_two.py").write_text("def test_two(): pass\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *options, str(folder)],
        cwd=ROOT,
        env={"CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("tests", "ci", "code"),
    [
        ("listed", "true", 0),
        ("expected_failure", "true", 0),
        ("unlisted", "true", 1),
        ("module", "true", 1),
        ("unlisted", "", 0),
        ("module", "", 0),
    ],
)
def test_a_skip_fails_a_run_on_ci_unless_listed(
    tmp_path: Path, tests: str, ci: str, code: int
) -> None:
    """Only what is on the list may be left out on CI; elsewhere a skip is a skip."""
    done = run(tmp_path, tests, ci)
    assert done.returncode == code, done.stdout
    assert ("skipped, and not on the list" in done.stdout) == (code == 1)


@pytest.mark.parametrize("tests", ["unlisted", "module"])
def test_a_skip_in_another_process_fails_the_run_too(tmp_path: Path, tests: str) -> None:
    """Tests that are spread over processes may leave out no more than others."""
    done = run(tmp_path, tests, "true", "-n", "2")
    assert done.returncode == 1, done.stdout
    assert "skipped, and not on the list" in done.stdout
