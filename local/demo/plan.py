"""`demo.yaml` of a workflow: what its caller does by voice, and what must have come of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from local.caller.script import Interrupt, Script, load_script
from local.documents import read_model
from local.scenarios import FinalState
from thirdring.errors import PhoneError
from thirdring.settings import Settings
from thirdring.workflow import Workflow

__all__ = ["FILE", "DemoExpected", "Plan", "load_plan", "number_of"]

FILE = "demo.yaml"


class DemoExpected(FinalState):
    """What the call must have done, beside what every call must.

    Attributes:
        tools: Each has been used without an error, in whatever order.
        hangs_up: Who ends the call.
        longest_silence_s: How long nobody may speak; more than the usual where we are the ones who
            wait, in a queue.
    """

    tools: tuple[str, ...] = ()
    hangs_up: Literal["agent", "caller"] = "agent"
    longest_silence_s: Annotated[float, Field(gt=0)] = 3.0


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[Any, ...]
    rtp: bool = True
    expect: DemoExpected = DemoExpected()


@dataclass(frozen=True)
class Plan:
    """One demo.

    Attributes:
        path: For the caller's own process.
        interrupts: The caller speaks over the agent once.
    """

    workflow: str
    path: Path
    script: Script
    expect: DemoExpected

    @property
    def interrupts(self) -> bool:
        return any(isinstance(step, Interrupt) for step in self.script.steps)


def load_plan(workflow: Workflow, folder: Path) -> Plan:
    """Return the demo of a workflow.

    Args:
        folder: That of the workflows.

    Raises:
        ConfigError: The file is missing or wrong.
    """
    path = folder / workflow.name / FILE
    script = load_script(path)
    file = read_model(path, _File, keys="`steps:` and `expect:`", described_in="docs/workflows.md")
    return Plan(workflow.name, path, script, file.expect)


def number_of(workflow: str, settings: Settings) -> str:
    """Return the number of the first line that runs a workflow.

    Raises:
        PhoneError: There is none.
    """
    for business in settings.businesses:
        for line in business.lines:
            if line.workflow == workflow:
                return line.number
    raise PhoneError(
        f"no line of thirdring.yaml runs {workflow}: add one under `lines:` of a business"
    )
