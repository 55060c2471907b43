"""Call scripts in YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.caller.script import (
    Burst,
    ExpectKeys,
    HangUp,
    Interrupt,
    Play,
    Script,
    StaySilent,
    load_script,
)
from thirdring.errors import ConfigError

EVERY_STEP = """
rtp: false
steps:
  - wait: {silence_ms: 700, timeout_s: 15}
  - say: What are your opening hours?
  - wait: {agent_speaks: true}
  - interrupt: {after_words: 4, say: "Wait, one more question."}
  - press: "12#"
  - expect_keys: "7*"
  - pause_ms: 500
  - stay_silent: 5
  - stay_silent: {seconds: 5, rtp: false}
  - play: sounds/cough.wav
  - burst
  - wait_hang_up: 10
  - hang_up
"""


def load(folder: Path, text: str) -> Script:
    path = folder / "call.yaml"
    path.write_text(text, encoding="utf-8")
    return load_script(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_every_step_is_read(tmp_path: Path) -> None:
    """All forms of the documentation are understood; files lie beside the script."""
    script = load(tmp_path, EVERY_STEP)
    assert len(script.steps) == 13
    assert not script.rtp
    assert isinstance(script.steps[3], Interrupt)
    assert script.steps[5] == ExpectKeys.model_validate({"expect_keys": {"keys": "7*"}})
    assert script.steps[7] == StaySilent.model_validate({"stay_silent": {"seconds": 5}})
    assert script.steps[9] == Play(play=tmp_path / "sounds" / "cough.wav")
    assert script.steps[10:13:2] == (Burst(), HangUp())


def test_an_unknown_step_names_the_nearest(tmp_path: Path) -> None:
    """A misspelt step says where it is and what may have been meant."""
    (problem,) = problems(tmp_path, "steps:\n  - hang_up\n  - sya: hello\n")
    assert problem == "call.yaml:3:5 steps[1]: no such step, got sya; expected did you mean `say`?"


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    """Each wrong value has its own line, column and path."""
    text = "steps:\n  - press: 12x\n  - wait: {silence_ms: 0}\n  - interrupt: {say: stop}\nrpt: 1\n"
    found = problems(tmp_path, text)
    assert [problem.partition(":")[2].split(":")[0] for problem in found] == ["2", "3", "4", "5"]
    assert "steps[0].press" in found[0]
    assert "steps[1].wait.silence_ms" in found[1]
    assert "after_words or after_ms" in found[2]
    assert "rpt" in found[3]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("steps: [", "expected node content"),
        ("say: hello", "has no list `steps`"),
        ("hello", "has no list `steps`"),
        ("steps: []", "is empty"),
        ("", "is empty"),
        ("steps: !!python/object:os.system []", "has the tag"),
        pytest.param("steps: " + "[" * 200_000, "nested too deeply", id="deep"),
        ("steps:\n  - say: 2026-99-99\n", "should be a valid string"),
        ("steps:\n  - say: \x07\n", "control character"),
    ],
)
def test_what_is_no_script_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """Broken YAML, no steps, and Python tags are problems with a place, not tracebacks."""
    assert why in problems(tmp_path, text)[0]


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load_script(tmp_path / "nowhere.yaml")
