"""What people read of many problems."""

from __future__ import annotations

from pathlib import Path

import pytest

from thirdring import config, workflow
from thirdring.errors import ConfigError, Problem

ROOT = Path(__file__).parents[2]


def problem(line: int, path: str, *, what: str = "is empty", got: str | None = None) -> Problem:
    return Problem("thirdring.yaml", line, 7, path, what, got, "text")


def test_a_newcomer_reads_of_each_missing_variable_once() -> None:
    """All its places are named, and programs still get a problem for each."""
    with pytest.raises(ConfigError) as caught:
        config.load(ROOT / "thirdring.yaml", workflows=workflow.discover(), environ={})
    problems, lines = caught.value.problems, str(caught.value).splitlines()
    assert len(problems) > 10
    assert [line.split(" got ${")[-1].partition("}")[0] for line in lines[::2]] == [
        "THIRDRING_WEBHOOK_URL",
        "THIRDRING_WEBHOOK_SECRET",
    ]
    told = [line.removeprefix("  also at ").split(", ") for line in lines[1::2]]
    places = [line.split()[0] for line in lines[::2]] + [place for row in told for place in row]
    assert sorted(places) == sorted(problem.place for problem in problems)


@pytest.mark.parametrize(
    "other",
    [
        problem(9, "a.url"),
        problem(9, "b.name", what="is too long"),
        problem(9, "b.name", got="nothing"),
    ],
)
def test_what_differs_is_told_by_itself(other: Problem) -> None:
    """Another key, another mistake, another value."""
    first = problem(5, "a.name")
    assert str(ConfigError([first, other])) == f"{first}\n{other}"


def test_variables_of_the_environment_are_told_by_name() -> None:
    """They have no line by which one could tell them apart."""
    both = [
        Problem("environment", 0, 0, name, "is not set", None, "a value") for name in ("A", "B")
    ]
    assert str(ConfigError(both)) == (
        "environment A: is not set; expected a value\nenvironment B: is not set; expected a value"
    )
