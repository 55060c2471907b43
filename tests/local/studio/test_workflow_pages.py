"""The pages on workflows and simulations explain every key that there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from local import scenarios
from local.caller.script import load_script
from local.demo.plan import DemoExpected
from local.realtime.brain import script
from local.simulate.command import Chosen, chosen
from thirdring import workflow
from thirdring.workflow import CALL_FACTS, AgentPart, Workflow

DOCS = Path(__file__).parents[3] / "docs"
WORKFLOWS = (DOCS / "workflows.md").read_text(encoding="utf-8")
SIMULATE = (DOCS / "simulate.md").read_text(encoding="utf-8")
KNOWN = workflow.discover()


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


def test_the_simulations_of_the_pages_play_something() -> None:
    """Each command that a page shows for our own workflows chooses at least one scenario."""
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    shown = set(re.findall(r"ring\.py simulate ([^#`\n]*)", pages))
    assert len(shown) >= 5
    for command in sorted(shown):
        words = shlex.split(command)
        name = words[0] if words and words[0] in KNOWN else None  # lock_smith is made there
        label, tag = (
            words[words.index(option) + 1] if option in words else None
            for option in ("--label", "--tag")
        )
        assert chosen(Chosen(name, label, tag), KNOWN, DOCS.parent / "workflows"), command
