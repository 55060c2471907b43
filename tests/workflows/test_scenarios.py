"""Every simulated caller of every workflow, played as `python ring.py simulate` plays it."""

from __future__ import annotations

from pathlib import Path

import pytest
from livekit.protocol.agent_simulation import Scenario as LiveKitScenario

from local.realtime.brain.script import load as load_script
from local.realtime.brain.script import load_all
from local.scenarios import Scenario, load
from local.simulate import Simulation, simulate
from thirdring import workflow

ROOT = Path(__file__).parents[2] / "workflows"
FILES = sorted(ROOT.glob("*/scenarios.yaml"))
CALLERS = [(path, scenario) for path in FILES for scenario in load(path).scenarios]


@pytest.mark.parametrize(
    ("path", "scenario"), CALLERS, ids=[f"{p.parent.name}: {s.label}" for p, s in CALLERS]
)
async def test_afterwards_all_is_as_expected(path: Path, scenario: Scenario) -> None:
    """The tools, the rows of the store, the outcome and the ending are those of the scenario."""
    workflows = workflow.discover()
    result = await simulate(Simulation(workflows, ROOT), workflows[path.parent.name], scenario)
    assert result.problems == ()


def test_every_workflow_has_scenarios() -> None:
    """A prompt without a test of what must be true afterwards is a guess."""
    assert {path.parent.name for path in FILES} == set(workflow.discover())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_livekit_takes_the_same_keys(path: Path) -> None:
    """`lk agent simulate` reads the file too: each key is a field of its scenario."""
    known = set(LiveKitScenario.DESCRIPTOR.fields_by_name)
    assert set(Scenario.model_fields) <= known
    assert {key for one in load(path).scenarios for key in one.model_dump()} <= known


AGENTS = [
    (name, agent)
    for name, each in workflow.discover().items()
    for agent in (workflow.MAIN, *(part.name for part in each.agents))
]


@pytest.mark.parametrize(("name", "agent"), AGENTS)
def test_every_agent_is_known_by_a_script_of_its_own(name: str, agent: str) -> None:
    """The local model tells whose session it is by the instructions alone, among all scripts."""
    told = workflow.instructions(workflow.discover()[name], agent=agent)
    chosen = next(one for one in load_all(ROOT) if one.when in told)
    file = "script.yaml" if agent == workflow.MAIN else f"{agent}.script.yaml"
    assert chosen.when == load_script(ROOT / name / file).when
