"""The pages on workflows and simulations explain every key that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from local import scenarios
from local.caller.script import load_script
from local.demo.plan import DemoExpected
from local.realtime.brain import script
from thirdring.workflow import CALL_FACTS, AgentPart, Workflow

DOCS = Path(__file__).parents[3] / "docs"
WORKFLOWS = (DOCS / "workflows.md").read_text(encoding="utf-8")
SIMULATE = (DOCS / "simulate.md").read_text(encoding="utf-8")


def names(text: str) -> set[str]:
    """Return what stands in code: in backticks, in blocks."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    return set(re.findall(r"\w+", " ".join(code)))


@pytest.mark.parametrize(
    ("page", "model"),
    [
        *((WORKFLOWS, model) for model in (Workflow, AgentPart, script.Script, script.Slot)),
        *((WORKFLOWS, model) for model in (script.Goal, script.Step, script.Call, script.Rule)),
        *((WORKFLOWS + SIMULATE, model) for model in (DemoExpected, scenarios.Scenarios)),
        *((SIMULATE, model) for model in (scenarios.Scenario, scenarios.Userdata)),
        *((SIMULATE, model) for model in (scenarios.Expected, scenarios.Booking)),
        *((SIMULATE, model) for model in (scenarios.Event, scenarios.Message, scenarios.Busy)),
        *((SIMULATE, model) for model in (scenarios.Callback, scenarios.Notification)),
        *((SIMULATE, model) for model in (scenarios.Errand, scenarios.ExpectedOutcome)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_every_key_is_explained(page: str, model: type[BaseModel]) -> None:
    """A key that no page names cannot be used."""
    assert set(model.model_fields) - names(page) == set()


def test_every_fact_of_a_call_is_named() -> None:
    """Texts may use each of them."""
    assert names(WORKFLOWS) >= CALL_FACTS


def test_the_examples_are_right(tmp_path: Path) -> None:
    """What stands on the pages can be loaded."""
    (demo,) = re.findall(r"```yaml\n(steps:.*?)```", WORKFLOWS, re.DOTALL)
    path = tmp_path / "demo.yaml"
    path.write_text(demo, encoding="utf-8")
    assert load_script(path).steps
    DemoExpected.model_validate(yaml.safe_load(demo)["expect"])
    (scenario,) = re.findall(r"```yaml\n(name:.*?)```", SIMULATE, re.DOTALL)
    path.write_text(scenario, encoding="utf-8")
    assert scenarios.load(path).scenarios
