"""`demo.yaml` as a file, and the line that is called for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.demo.plan import load_plan, number_of
from local.demo.run import run
from tests.samples import business, settings
from thirdring import workflow
from thirdring.errors import ConfigError, PhoneError
from thirdring.home import Home

ROOT = Path(__file__).parents[3]
WORKFLOWS = workflow.discover()
CLINIC = WORKFLOWS["patient_questions"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_has_a_demo_that_can_be_read(name: str) -> None:
    """`make demo WORKFLOW=` plays each of them, and expects something of it."""
    assert load_plan(WORKFLOWS[name], ROOT / "workflows").expect.tools


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("steps: [{sya: Hello}]\n", "steps[0]: no such step, got sya"),
        ("steps: [hang_up]\nexpect: {tool: [end_call]}\n", "expect.tool: is no key"),
        ("steps: [hang_up]\nexpect: {hangs_up: nobody}\n", "expect.hangs_up: Input should be"),
    ],
)
def test_a_wrong_file_names_its_place(tmp_path: Path, text: str, what: str) -> None:
    """File, line, column and key: as in every file of ours."""
    path = tmp_path / "patient_questions" / "demo.yaml"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"demo\.yaml:") as raised:
        load_plan(CLINIC, tmp_path)
    assert what in str(raised.value)


def test_a_workflow_without_a_demo_says_so(tmp_path: Path) -> None:
    """The file that is missing is named."""
    with pytest.raises(ConfigError, match=r"patient_questions/demo\.yaml"):
        load_plan(CLINIC, tmp_path)


def test_the_first_line_that_runs_the_workflow_is_called() -> None:
    """Wherever it stands in the configuration."""
    assert number_of("patient_questions", settings(business())) == "+12025550142"


def test_a_workflow_on_no_line_is_a_plain_mistake() -> None:
    """What to add is said, and where."""
    with pytest.raises(PhoneError, match=r"no line of thirdring.yaml runs assistant: add one"):
        number_of("assistant", settings(business()))


async def test_nothing_starts_for_a_workflow_on_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who left out the line hears it at once, not after all parts have come up."""
    (tmp_path / "thirdring.yaml").write_text(
        "version: 1\nbusinesses:\n  clinic:\n    name: Clinic\n    time_zone: UTC\n    lines:\n"
        '      - {number: "+12025550142", workflow: patient_questions}\n'
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PhoneError, match=r"no line of thirdring\.yaml runs assistant"):
        await run(Home(tmp_path / "home"), workflow="assistant")
    assert "Starting" not in capsys.readouterr().out
