"""Settings follow their files; what is broken changes nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from thirdring import following
from thirdring.following import Configuration
from thirdring.settings import Settings
from thirdring.workflow import Workflow

WORKFLOWS = {"desk": Workflow(name="desk", greeting="Hello.")}
GOOD = """\
version: 1
businesses:
  clinic:
    name: Clinic
    time_zone: UTC
    lines:
      - {number: "+12025550142", workflow: desk, greeting: Hello.}
"""
BETTER = GOOD.replace("Hello.", "Good morning.")
BROKEN = GOOD.replace("UTC", "Mars")
ENVIRON = {"NAME": "first"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_QUIET_SECONDS", 0.0)


def write(path: Path, text: str) -> None:
    """As most editors do: another file takes the place."""
    (path.parent / "new").write_text(text)
    (path.parent / "new").rename(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "thirdring.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def followed(path: Path) -> Configuration:
    return Configuration.opened(path, WORKFLOWS, ENVIRON)


def greeting(configuration: Configuration) -> str | None:
    return configuration.settings.businesses[0].lines[0].greeting


def test_a_change_is_taken_up(path: Path, followed: Configuration) -> None:
    """Once, and nothing is read as long as nothing changes."""
    assert not followed.refresh()
    write(path, BETTER)
    assert followed.refresh()
    assert greeting(followed) == "Good morning."
    assert not followed.refresh()


def test_a_broken_change_keeps_the_last_good_one(
    path: Path, followed: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told once with all problems, when it lasts; the next good one is taken."""
    caplog.set_level(logging.INFO, logger="thirdring.following")
    write(path, BROKEN.replace("desk", "nothing"))
    told = []
    for _ in range(4):
        assert not followed.refresh()
        told.append([record.getMessage() for record in caplog.records])
    assert greeting(followed) == "Hello."
    assert not told[0], "it might have been half of a change"
    assert told[1:] == [told[1]] * 3
    (text,) = told[1]
    assert "broken (2 problems)" in text
    assert f"{path}:5:16 businesses.clinic.time_zone: is no time zone" in text
    assert followed.wrong
    write(path, BETTER)
    assert followed.refresh()
    assert greeting(followed) == "Good morning."
    assert not followed.wrong


@pytest.mark.parametrize("half", ["", GOOD[:40], GOOD[:-20]])
def test_half_of_a_change_is_not_told(
    half: str, path: Path, followed: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """An editor that writes in two steps is seen between them: what comes next counts."""
    path.write_text(half)
    assert not followed.refresh()
    path.write_text(BETTER)
    assert followed.refresh()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_file_that_is_taken_back_is_told_as_good_again(
    path: Path, followed: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the settings are the ones that were in use all the time."""
    caplog.set_level(logging.INFO, logger="thirdring.following")
    write(path, BROKEN)
    followed.refresh()
    write(path, GOOD)
    assert not followed.refresh()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "configuration is good again, and as it was before"
    ]


def test_a_missing_file_keeps_the_last_good_one(path: Path, followed: Configuration) -> None:
    """For as long as it is missing."""
    path.unlink()
    assert not followed.refresh()
    assert greeting(followed) == "Hello."
    path.write_text(BETTER)
    assert followed.refresh()


def test_a_change_within_the_reading_is_read_by_the_next_look(path: Path) -> None:
    """What was read may be half of the old and half of the new."""

    def change() -> None:
        path.write_text(BETTER)

    during: list[Callable[[], None]] = [change]
    whole = Configuration.opened(path, WORKFLOWS, ENVIRON)

    def load() -> Settings:
        settings = whole._load()
        if during:
            during.pop()()
        return settings

    followed = Configuration(path, load, whole.taken)
    path.write_text(GOOD + "worker: {capacity: 3}\n")
    assert not followed.refresh()
    assert followed.refresh()
    assert greeting(followed) == "Good morning."


def test_a_change_of_this_moment_is_waited_for(
    path: Path, followed: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read before the file has been left alone for a while."""
    waits: list[float] = []
    monkeypatch.setattr(following, "_QUIET_SECONDS", 60.0)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        path.write_text(BETTER)
        os.utime(path, ns=(0, 0))
        monkeypatch.setattr(following, "_QUIET_SECONDS", 0.0)

    monkeypatch.setattr("thirdring.following.time.sleep", sleep)
    path.write_text(BROKEN)
    assert followed.refresh()
    assert greeting(followed) == "Good morning."
    assert len(waits) == 1


def test_a_mistake_of_ours_keeps_the_last_good_one(
    path: Path, followed: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    """A caller is served whatever happens while the file is read."""

    def fails() -> Settings:
        raise RuntimeError("oops")

    worse = Configuration(path, fails, followed.taken)
    write(path, BETTER)
    assert not worse.refresh()
    assert greeting(worse) == "Hello."
    assert "oops" in caplog.text


async def test_a_call_gets_what_is_on_disk(path: Path, followed: Configuration) -> None:
    """Even when nobody has looked since it changed."""
    write(path, BETTER)
    settings = await followed.current()
    assert settings.businesses[0].lines[0].greeting == "Good morning."


async def test_changes_come_by_themselves(
    path: Path, followed: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To whoever waits for them, on a loop or on a thread."""
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    other = Configuration.handed(path, WORKFLOWS, ENVIRON, followed.taken)
    other.follow()
    waiting = asyncio.ensure_future(anext(followed.changes()))
    write(path, BETTER)
    async with asyncio.timeout(30):
        assert (await waiting).businesses[0].lines[0].greeting == "Good morning."
        while greeting(other) != "Good morning.":  # noqa: ASYNC110 - a thread tells no events
            await asyncio.sleep(0.01)
        await other.current()


def test_another_process_begins_with_what_is_known(path: Path, followed: Configuration) -> None:
    """Without reading the file, which may be broken by then, and without telling so again."""
    write(path, BROKEN)
    followed.refresh()
    taken = pickle.loads(pickle.dumps(followed.taken))  # noqa: S301 - our own
    other = Configuration.handed(path, WORKFLOWS, ENVIRON, taken)
    assert not other.refresh()
    assert greeting(other) == "Hello."
    write(path, BETTER)
    assert other.refresh()


def test_variables_keep_the_values_of_the_start(tmp_path: Path) -> None:
    """A process reads its environment once."""
    path, environ = tmp_path / "thirdring.yaml", {"NAME": "first"}
    path.write_text(GOOD.replace("name: Clinic", "name: ${NAME}"))
    followed = Configuration.opened(path, WORKFLOWS, environ)
    environ["NAME"] = "second"
    write(path, BETTER.replace("name: Clinic", "name: ${NAME}"))
    assert followed.refresh()
    assert followed.settings.businesses[0].name == "first"
