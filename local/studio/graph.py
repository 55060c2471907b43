"""Who speaks in a workflow, with which tools, and who hands the caller over to whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from thirdring.workflow import MAIN, Workflow, WorkflowTool

__all__ = ["AgentNode", "Graph", "Handoff", "graph_of"]


@dataclass(frozen=True)
class AgentNode:
    """An agent and the names of its tools."""

    name: str
    tools: tuple[str, ...]


@dataclass(frozen=True)
class Handoff:
    """A directed edge between two agents.

    Attributes:
        on_its_own_call: The second one speaks on another call, which is made for the first.
    """

    origin: int
    target: int
    on_its_own_call: bool = False


@dataclass(frozen=True)
class Graph:
    """A workflow to be drawn.

    Attributes:
        agents: The first is the one that a call begins with.
        handoffs: By the places of their agents.
    """

    name: str
    direction: Literal["inbound", "outbound"]
    agents: tuple[AgentNode, ...]
    handoffs: tuple[Handoff, ...]


def graph_of(workflow: Workflow) -> Graph:
    """Return the graph of a workflow."""
    places = {MAIN: 0} | {part.name: place for place, part in enumerate(workflow.agents, 1)}
    own = {part.name for part in workflow.agents if part.on_its_own_call}
    successors = [(MAIN, workflow.hands_over_to)]
    successors += [(part.name, part.hands_over_to) for part in workflow.agents]
    return Graph(
        name=workflow.name,
        direction=workflow.direction,
        agents=(
            AgentNode(workflow.name, _names(workflow.tools)),
            *(AgentNode(part.name, _names(part.tools)) for part in workflow.agents),
        ),
        handoffs=tuple(
            Handoff(places[origin], places[target], target in own)
            for origin, targets in successors
            for target in targets
        ),
    )


def _names(tools: tuple[WorkflowTool, ...]) -> tuple[str, ...]:
    return tuple(tool.info.name for tool in tools)
