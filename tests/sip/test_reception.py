"""A worker and its job processes serve by one configuration, as it changes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from sip.reception import Reception
from thirdring import following
from thirdring.errors import ConfigError
from thirdring.more_tools import none_found

GOOD = """\
version: 1
businesses:
  clinic:
    name: Clinic
    time_zone: UTC
    lines:
      - {number: "+12025550142", workflow: patient_questions, greeting: Hello.}
worker: {capacity: 4}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(following, "_QUIET_SECONDS", 0.0)
    monkeypatch.setenv("THIRDRING_HOME", str(tmp_path / "home"))
    path = tmp_path / "thirdring.yaml"
    path.write_text(GOOD)
    return path


def greeting(reception: Reception) -> str | None:
    return reception.settings.businesses[0].lines[0].greeting


async def test_a_job_process_begins_with_what_the_worker_has(path: Path) -> None:
    """Also while the file is broken; then it follows the file by itself."""
    worker = Reception(path, none_found)
    path.write_text(GOOD.replace("UTC", "Mars"))
    job = pickle.loads(pickle.dumps(worker))  # noqa: S301 - as a worker does
    assert isinstance(job, Reception)
    assert greeting(job) == "Hello."
    assert job.board.home == worker.board.home
    path.write_text(GOOD.replace("Hello.", "Good morning."))
    await job.configuration.current()
    assert (greeting(job), greeting(worker)) == ("Good morning.", "Hello.")


def test_a_worker_does_not_start_with_a_broken_file(path: Path) -> None:
    """There is no last good one yet."""
    path.write_text(GOOD.replace("UTC", "Mars"))
    with pytest.raises(ConfigError, match="is no time zone"):
        Reception(path, none_found)


def test_the_capacity_is_that_of_the_file_now(path: Path) -> None:
    """It is asked for the share that is taken again and again."""
    worker = Reception(path, none_found)
    path.write_text(GOOD.replace("capacity: 4", "capacity: 2"))
    assert worker.configuration.refresh()
    assert worker.settings.worker.capacity == 2


def test_what_waits_for_the_next_start_is_told(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The number of idle processes is fixed once the worker runs."""
    worker = Reception(path, none_found)
    path.write_text(GOOD.replace("capacity: 4", "idle_processes: 9"))
    worker.configuration.refresh()
    assert "worker.idle_processes has changed: it takes effect at the next start" in caplog.text
