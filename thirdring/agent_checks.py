"""What can be wrong with the agents of a workflow, beyond what their types say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thirdring.workflow import Workflow, WorkflowTool

__all__ = ["AgentMistake", "mistakes"]


@dataclass(frozen=True)
class AgentMistake:
    """Something wrong with a workflow's agents.

    Attributes:
        agent: Whose field it is; None for the workflow itself.
    """

    agent: str | None
    field: str
    what: str
    expected: str


def mistakes(workflow: Workflow, main: str, prefix: str) -> Iterator[AgentMistake]:
    """Return what is wrong with the agents of this workflow and their tools.

    Args:
        main: The name of its first agent.
        prefix: What the names of the tools begin with that hand a caller over.
    """
    names = [part.name for part in workflow.agents]
    known = frozenset(names) | {main}
    for number, part in enumerate(workflow.agents):
        if part.name == main or part.name in names[:number]:
            what = f"is {part.name}, as another agent of this workflow is"
            yield AgentMistake(part.name, "name", what, "a name of its own")
    yield from _of_one(None, workflow.tools, workflow.hands_over_to, known, prefix)
    for part in workflow.agents:
        yield from _of_one(part.name, part.tools, part.hands_over_to, known, prefix)
    yield from _unreachable(workflow)


def _of_one(
    agent: str | None,
    tools: Sequence[WorkflowTool],
    successors: Sequence[str],
    known: frozenset[str],
    prefix: str,
) -> Iterator[AgentMistake]:
    for name in successors:
        if name not in known:
            what = f"names {name}, which is no agent of this workflow"
            yield AgentMistake(agent, "hands_over_to", what, f"one of {', '.join(sorted(known))}")
        elif name == agent or successors.count(name) > 1:
            what = f"names {name}, which is this agent itself or named twice"
            yield AgentMistake(agent, "hands_over_to", what, "each other agent once")
    names = [tool.info.name for tool in tools]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield AgentMistake(agent, "tools", f"has two named {name}", "each name once")
    for name in names:
        if name.startswith(prefix):
            what = f"has {name}, a name that is kept for handing over"
            yield AgentMistake(agent, "tools", what, "another name")


def _unreachable(workflow: Workflow) -> Iterator[AgentMistake]:
    following = {part.name: part.hands_over_to for part in workflow.agents}
    reached: set[str] = set()
    ahead = list(workflow.hands_over_to)
    while ahead:
        name = ahead.pop()
        if name in following and name not in reached:
            reached.add(name)
            ahead += following[name]
    for part in workflow.agents:
        if part.name not in reached:
            what = f"is {part.name}, which no agent hands over to"
            expected = "an agent whose name stands in the `hands_over_to` of another"
            yield AgentMistake(part.name, "name", what, expected)
