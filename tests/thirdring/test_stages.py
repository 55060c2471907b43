"""When a call came to what."""

from __future__ import annotations

import logging

import pytest

from thirdring.stages import Stages


@pytest.fixture
def age() -> list[float]:
    """Return a list whose last number is how old the call is."""
    return [0.001]


def logged(caplog: pytest.LogCaptureFixture) -> dict[str, object]:
    """Return the fields of the one line that was written."""
    (line,) = [record for record in caplog.records if record.name == "thirdring.stages"]
    return vars(line)


def test_every_stage_stands_in_one_line(age: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """Received, connected, heard, over: in seconds after the opening."""
    stages = Stages(lambda: age[-1])
    for name, seconds in (("ready", 0.25), ("first_audio", 1.2)):
        age.append(seconds)
        stages.reach(name)
    age.append(31.5)
    with caplog.at_level(logging.INFO):
        stages.log(turns=7)
    expected = {
        "received_seconds": 0.001,
        "ready_seconds": 0.25,
        "first_audio_seconds": 1.2,
        "total_seconds": 31.5,
        "turns": 7,
    }
    assert expected.items() <= logged(caplog).items()


def test_a_stage_is_reached_once(age: list[float], caplog: pytest.LogCaptureFixture) -> None:
    """The agent speaks many times; its first words are what was waited for."""
    stages = Stages(lambda: age[-1])
    for seconds in (1.0, 9.0):
        age.append(seconds)
        stages.reach("first_audio")
    with caplog.at_level(logging.INFO):
        stages.log(turns=2)
    assert logged(caplog)["first_audio_seconds"] == 1.0


def test_a_connection_that_is_made_anew_has_another_session(
    age: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """When it was there is told of the first, which session it is of the last."""
    stages = Stages(lambda: age[-1])
    for session, seconds in (("sess_1", 0.3), ("sess_2", 40.0)):
        age.append(seconds)
        stages.model_connected(session)
    with caplog.at_level(logging.INFO):
        stages.log(turns=2)
    line = logged(caplog)
    assert (line["model_connected_seconds"], line["model_session"]) == (0.3, "sess_2")


def test_a_stage_that_was_not_reached_is_left_out(
    age: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Of a caller who gave up nobody heard anything."""
    with caplog.at_level(logging.INFO):
        Stages(lambda: age[-1]).log(turns=0)
    assert "first_audio_seconds" not in logged(caplog)
