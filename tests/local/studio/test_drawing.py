"""`python ring.py graph`: what is drawn of a workflow, from the workflow alone."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from local.studio.drawing import as_mermaid, as_svg
from local.studio.graph import AgentNode, Graph, Handoff, graph_of
from thirdring import workflow
from thirdring.workflow import AgentPart, Workflow
from tools import calls, hours

SVG = "{http://www.w3.org/2000/svg}"
WORKFLOW = Workflow(
    name="concierge",
    greeting="Hello.",
    tools=(hours.opening_hours, calls.end_call),
    hands_over_to=("reservation", "caller"),
    agents=(
        AgentPart(name="reservation", when="x", tools=(calls.end_call,), hands_over_to=("main",)),
        AgentPart(name="caller", when="x", on_its_own_call=True),
    ),
)
GRAPH = graph_of(WORKFLOW)


def test_the_graph_has_all_that_the_workflow_has() -> None:
    """Agents with their tools, and every edge from who hands over to who is handed to."""
    assert graph_of(WORKFLOW) == Graph(
        "concierge",
        "inbound",
        (
            AgentNode("concierge", ("opening_hours", "end_call")),
            AgentNode("reservation", ("end_call",)),
            AgentNode("caller", ()),
        ),
        (Handoff(0, 1), Handoff(0, 2, on_its_own_call=True), Handoff(1, 0)),
    )


def test_mermaid_draws_each_node_and_edge() -> None:
    """The text as a whole: `call` itself is a word of Mermaid's and names no node."""
    assert as_mermaid(GRAPH).splitlines() == [
        "flowchart LR",
        '    phone(("inbound<br/>call"))',
        "    phone --> a0",
        '    a0["concierge"]:::agent',
        '    a0 --- a0t0(["opening_hours"]):::tool',
        '    a0 --- a0t1(["end_call"]):::tool',
        '    a1["reservation"]:::agent',
        '    a1 --- a1t0(["end_call"]):::tool',
        '    a2["caller"]:::agent',
        "    a0 ==> a1",
        "    a0 -. on a call of its own .-> a2",
        "    a1 ==> a0",
        "    classDef agent fill:#ffe680,stroke:#8a6d00,color:#222",
        "    classDef tool fill:#c8e6c9,stroke:#2e7d32,color:#222",
    ]


def parsed(graph: Graph) -> ElementTree.Element:
    return ElementTree.fromstring(as_svg(graph))  # noqa: S314 - our own text


def numbers(element: ElementTree.Element, *names: str) -> list[float]:
    return [float(element.attrib[name]) for name in names]


def test_agents_are_yellow_boxes_and_tools_green_ellipses() -> None:
    """As requirement 2.9 has it; each bears its name."""
    svg = parsed(GRAPH)
    boxes = svg.findall(f"{SVG}rect[@class='agent']")
    ellipses = svg.findall(f"{SVG}ellipse[@class='tool']")
    assert [box.attrib["fill"] for box in boxes] == ["#ffe680"] * 3
    assert [ellipse.attrib["fill"] for ellipse in ellipses] == ["#c8e6c9"] * 3
    texts = [text.text for text in svg.findall(f"{SVG}text")]
    assert set(texts) >= {"concierge", "reservation", "caller", "opening_hours", "end_call"}


def test_the_way_of_a_call_stands_inside_its_circle() -> None:
    """`outbound` is the longer word; a letter is 6.5 wide and 11 high at most."""
    svg = parsed(Graph("dials", "outbound", (AgentNode("dials", ()),), ()))
    (circle,) = svg.findall(f"{SVG}circle")
    x, y, radius = numbers(circle, "cx", "cy", "r")
    (word,) = (text for text in svg.findall(f"{SVG}text") if text.text == "outbound")
    middle, line = numbers(word, "x", "y")
    corner = (abs(middle - x) + len("outbound") * 6.5 / 2, abs(line - y) + 11 / 2)
    assert math.hypot(*corner) < radius


def test_handoffs_are_arrows() -> None:
    """One for each edge and one for the call that comes in; another call's is dashed."""
    arrows = parsed(GRAPH).findall(f"{SVG}path[@class='handoff']")
    assert len(arrows) == 1 + len(GRAPH.handoffs)
    assert all(arrow.attrib["marker-end"] == "url(#arrow)" for arrow in arrows)
    assert sum("stroke-dasharray" in arrow.attrib for arrow in arrows) == 1


def many(tools: int, agents: int) -> Graph:
    nodes = [
        AgentNode(f"agent_{n}", tuple(f"a_long_tool_name_{n}_{t}" for t in range(tools - n)))
        for n in range(agents)
    ]
    edges = [Handoff(a, b) for a in range(agents) for b in range(agents) if a != b]
    return Graph("many", "outbound", tuple(nodes), tuple(edges))


@pytest.mark.parametrize(
    "graph",
    [
        GRAPH,
        many(1, 1),
        many(4, 2),
        many(13, 4),
        *(graph_of(w) for w in workflow.discover().values()),
    ],
    ids=lambda graph: f"{graph.name}-{len(graph.agents)}",
)
def test_nothing_overlaps_and_nothing_is_cut_off(graph: Graph) -> None:
    """Boxes and ellipses lie apart from each other, and within the picture with their arcs."""
    svg = parsed(graph)
    width, height = numbers(svg, "width", "height")
    areas = []
    for box in svg.findall(f"{SVG}rect[@class='agent']"):
        x, y, w, h = numbers(box, "x", "y", "width", "height")
        areas.append((x, y, x + w, y + h))
    for ellipse in svg.findall(f"{SVG}ellipse[@class='tool']"):
        x, y, rx, ry = numbers(ellipse, "cx", "cy", "rx", "ry")
        areas.append((x - rx, y - ry, x + rx, y + ry))
    assert all(x >= 0 and y >= 0 and right <= width and low <= height for x, y, right, low in areas)
    for number, (x, y, right, low) in enumerate(areas):
        for ox, oy, oright, olow in areas[number + 1 :]:
            assert right <= ox or oright <= x or low <= oy or olow <= y
    arcs = [path.attrib["d"] for path in svg.findall(f"{SVG}path[@class='handoff']")]
    # A curve reaches three quarters of the way to its two upper points.
    tops = [re.findall(r"[-\d.]+", arc)[1::2] for arc in arcs if "C" in arc]
    assert all(0.25 * float(ys[0]) + 0.75 * float(ys[1]) >= 0 for ys in tops)


def test_a_name_cannot_break_the_picture() -> None:
    """What would end an attribute or a label is written as text."""
    graph = Graph('a"<b>&', "inbound", (AgentNode('a"<b>&', ("<tool>",)),), ())
    assert parsed(graph).findtext(f"{SVG}title") == 'a"<b>&: agents, tools and handoffs'
    assert '"' not in as_mermaid(graph).splitlines()[3].split('["')[1].split('"]')[0]
