"""`scenarios.yaml` as a file: what is refused, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from local.scenarios import load
from thirdring.errors import ConfigError

SLOT = "s_20261124_0900"
USERDATA: dict[str, Any] = {
    "now": "2026-11-20T12:00:00-05:00",
    "caller": "+12025550199",
    "says": ["Hello.", "Goodbye."],
    "expect": {"tools": [{"name": "end_call"}], "ended": True},
}


def written(tmp_path: Path, change: dict[str, Any]) -> Path:
    """Return a file with one scenario whose userdata is changed."""
    path = tmp_path / "scenarios.yaml"
    scenario = {"label": "x", "instructions": "x", "agent_expectations": "x"}
    file = {"name": "x", "scenarios": [{**scenario, "userdata": USERDATA | change}]}
    path.write_text(yaml.safe_dump(file), encoding="utf-8")
    return path


def test_only_tools_and_ending_must_be_expected(tmp_path: Path) -> None:
    """What a workflow does not touch need not be named."""
    (scenario,) = load(written(tmp_path, {})).scenarios
    assert scenario.userdata.expect.messages is None


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"speaks": ["Hello"]}, "userdata.speaks: is no key that is known here"),
        ({"says": []}, "userdata.says: is empty"),
        ({"expect": {"tools": []}}, "expect.ended: is missing"),
        ({"taken": [{"slot": SLOT, "after_line": 9}]}, "a line that the caller does not say: 9"),
        ({"taken": [{"slot": "s_20261399_0900"}]}, "taken[0].slot: is no slot such as s_2026"),
        ({"now": "0001-01-01T00:00:00+00:00"}, "userdata.now: has a year from 1970 to 2999, got 1"),
        ({"busy": [{"starts_at": "9999-12-31T23:00:00"}]}, "starts_at: has a year from 1970"),
        ({"caller": None, "remembered": ["x"]}, "remembers a caller whose number is hidden"),
        ({"caller": None, "opted_out": True}, "remembers a caller whose number is hidden"),
        ({"caller": "12"}, "userdata.caller: not an E.164 number"),
        ({"metadata": {"lines": "x"}}, "userdata.metadata.lines: is no key"),
        ({"says": [{"keys": "call"}]}, "String should match pattern"),
    ],
)
def test_a_wrong_file_names_its_place(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    """File, line, column and key: as in every file of ours."""
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, change))
    assert what in str(raised.value)
    assert "scenarios.yaml:" in str(raised.value)


def test_a_list_is_not_called_empty_for_its_mistakes(tmp_path: Path) -> None:
    """A wrong scenario is one problem, though there is no right one beside it."""
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, {"caller": "12"}))
    assert [problem.path for problem in raised.value.problems] == ["scenarios[0].userdata.caller"]


@pytest.mark.parametrize(
    "answer", [{"line": 1}, {"line": 3, "has": ["x"]}, {"line": 1, "contains": ["x"]}]
)
def test_an_expectation_that_is_never_checked_is_a_mistake(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    """It expects nothing, belongs to no line, or is spelled wrong."""
    with pytest.raises(ConfigError):
        load(written(tmp_path, {"expect": {**USERDATA["expect"], "answers": [answer]}}))
