"""A workflow's graph as text for Mermaid, and as an SVG picture with a layout of our own. Pure.

Agents stand in a row as yellow boxes, each with its tools below it as green ellipses; handoffs are
arrows from box to box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Final

from local.studio.graph import AgentNode, Graph, Handoff

__all__ = ["as_mermaid", "as_svg"]

_OWN_CALL: Final = "on a call of its own"

_MARGIN: Final = 24.0
_LETTER: Final = 7.6
_BOX_HEIGHT: Final = 48.0
_ELLIPSE_HEIGHT: Final = 34.0
_STEP: Final = 46.0
"""From one ellipse to the next one below it."""
_GAP: Final = 72.0
_STUB: Final = 16.0
_INSET: Final = 14.0
_ONE_SIDE: Final = 4
"""So many tools stand on one side of their line; more are on both."""
_CALL_RADIUS: Final = 32.0


def as_mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart.

    Mermaid 11 reads its own ellipses but cannot draw them: a tool's box has round ends instead.
    """
    lines = ["flowchart LR", f'    phone(("{graph.direction}<br/>call"))', "    phone --> a0"]
    for place, agent in enumerate(graph.agents):
        lines.append(f'    a{place}["{_quoted(agent.name)}"]:::agent')
        for number, tool in enumerate(agent.tools):
            lines.append(f'    a{place} --- a{place}t{number}(["{_quoted(tool)}"]):::tool')
    for edge in graph.handoffs:
        arrow = f"-. {_OWN_CALL} .->" if edge.on_its_own_call else "==>"
        lines.append(f"    a{edge.origin} {arrow} a{edge.target}")
    lines += [
        "    classDef agent fill:#ffe680,stroke:#8a6d00,color:#222",
        "    classDef tool fill:#c8e6c9,stroke:#2e7d32,color:#222",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace('"', "#quot;")


@dataclass(frozen=True)
class _Column:
    """Where an agent and its tools stand.

    Attributes:
        left: Of the whole column.
        box_left: Of the agent's box, whose width is `box`.
        ellipse: Width of each tool.
        trunk: Of the line on which the tools hang.
    """

    agent: AgentNode
    left: float
    width: float
    box_left: float
    box: float
    ellipse: float
    trunk: float

    @property
    def middle(self) -> float:
        return self.box_left + self.box / 2

    @property
    def box_right(self) -> float:
        return self.box_left + self.box

    @property
    def two_sided(self) -> bool:
        return len(self.agent.tools) > _ONE_SIDE

    @property
    def rows(self) -> int:
        count = len(self.agent.tools)
        return (count + 1) // 2 if self.two_sided else count


def _columns(graph: Graph, left: float) -> Iterator[_Column]:
    for agent in graph.agents:
        box = max(120.0, len(agent.name) * _LETTER + 36)
        ellipse = max((len(tool) * _LETTER + 36 for tool in agent.tools), default=0.0)
        if len(agent.tools) > _ONE_SIDE:
            width = max(box, 2 * (ellipse + _STUB))
            box_left, trunk = left + (width - box) / 2, left + width / 2
        else:
            width = max(box, _INSET + _STUB + ellipse)
            box_left, trunk = left, left + _INSET
        yield _Column(agent, left, width, box_left, box, ellipse, trunk)
        left += width + _GAP


def as_svg(graph: Graph) -> str:
    """Return the graph as an SVG document."""
    columns = list(_columns(graph, _MARGIN + 2 * _CALL_RADIUS + _GAP / 1.5))
    span = max((abs(e.origin - e.target) for e in graph.handoffs), default=1)
    top = _MARGIN + 28 + (span > 1) * (26.0 + 22.0 * span)
    width = columns[-1].left + columns[-1].width + _MARGIN
    rows = max(column.rows for column in columns)
    height = top + _BOX_HEIGHT + (rows * _STEP + 20 if rows else 0) + _MARGIN
    body = [
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text x="{_MARGIN:.0f}" y="{_MARGIN + 8:.0f}" font-size="16" font-weight="bold">'
        f"{escape(graph.name)}</text>",
        *_call(graph, columns[0], top),
    ]
    for column in columns:
        body += _tools(column, top + _BOX_HEIGHT)
    for edge in graph.handoffs:
        body += _handoff(edge, columns, top)
    for column in columns:
        body += _box(column, top)
    return _document(graph, width, height, body)


def _document(graph: Graph, width: float, height: float, body: list[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
            f' viewBox="0 0 {width:.0f} {height:.0f}" role="img"'
            ' font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#222222">',
            f"<title>{escape(graph.name)}: agents, tools and handoffs</title>",
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8"'
            ' markerHeight="8" orient="auto-start-reverse">'
            '<path d="M0,0 L10,5 L0,10 z" fill="#444444"/></marker></defs>',
            *body,
            "</svg>\n",
        ]
    )


def _call(graph: Graph, first: _Column, top: float) -> Iterator[str]:
    x, y = _MARGIN + _CALL_RADIUS, top + _BOX_HEIGHT / 2
    yield (
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{_CALL_RADIUS:.0f}" fill="#eeeeee"'
        ' stroke="#777777"/>'
    )
    for line, word in enumerate((graph.direction, "call")):
        yield _label(word, x, y - 6 + 13 * line, size=11)
    yield _arrow(f"M{x + _CALL_RADIUS:.0f},{y:.0f} L{first.box_left:.0f},{y:.0f}")


def _box(column: _Column, top: float) -> Iterator[str]:
    yield (
        f'<rect class="agent" x="{column.box_left:.1f}" y="{top:.1f}" width="{column.box:.1f}"'
        f' height="{_BOX_HEIGHT:.0f}" rx="4" fill="#ffe680" stroke="#8a6d00" stroke-width="1.5"/>'
    )
    yield _label(column.agent.name, column.middle, top + _BOX_HEIGHT / 2, weight="bold")


def _tools(column: _Column, top: float) -> Iterator[str]:
    """Yield the tools of an agent, hanging on a line below its box."""
    trunk, two_sided = column.trunk, column.two_sided
    for number, tool in enumerate(column.agent.tools):
        row = number // 2 if two_sided else number
        side = -1 if two_sided and number % 2 == 0 else 1
        y = top + 20 + row * _STEP + _ELLIPSE_HEIGHT / 2
        x = trunk + side * (_STUB + column.ellipse / 2)
        yield (
            f'<path d="M{trunk:.1f},{top:.1f} L{trunk:.1f},{y:.1f} L{trunk + side * _STUB:.1f},'
            f'{y:.1f}" fill="none" stroke="#2e7d32"/>'
        )
        yield (
            f'<ellipse class="tool" cx="{x:.1f}" cy="{y:.1f}" rx="{column.ellipse / 2:.1f}"'
            f' ry="{_ELLIPSE_HEIGHT / 2:.1f}" fill="#c8e6c9" stroke="#2e7d32"/>'
        )
        yield _label(tool, x, y)


def _handoff(edge: Handoff, columns: list[_Column], top: float) -> Iterator[str]:
    """Yield the arrow between two boxes: straight to a neighbour, else in an arc above."""
    origin, target = columns[edge.origin], columns[edge.target]
    forward = edge.target > edge.origin
    middle = (origin.middle + target.middle) / 2
    if abs(edge.target - edge.origin) == 1:
        # There and back are two lines.
        y = top + _BOX_HEIGHT / 2 + (-9 if forward else 9)
        begin, end = (
            (origin.box_right, target.box_left) if forward else (origin.box_left, target.box_right)
        )
        path, label_y = f"M{begin:.1f},{y:.1f} L{end:.1f},{y:.1f}", y - 10
        middle = (begin + end) / 2
    else:
        # The way back is the outer arc.
        shift = 30 if forward else 6
        high = top - 30.0 * abs(edge.target - edge.origin) - (0 if forward else 24)
        begin, end = origin.middle + shift, target.middle - shift
        bend = f"{begin:.1f},{high:.1f} {end:.1f},{high:.1f}"
        path = f"M{begin:.1f},{top:.1f} C{bend} {end:.1f},{top:.1f}"
        label_y = top + (high - top) * 0.75 + 11
    yield _arrow(path, dashed=edge.on_its_own_call)
    if edge.on_its_own_call:
        yield _label(_OWN_CALL, middle, label_y, size=11)


def _arrow(path: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return (
        f'<path class="handoff" d="{path}" fill="none" stroke="#444444" stroke-width="1.6"'
        f'{dashes} marker-end="url(#arrow)"/>'
    )


def _label(text: str, x: float, y: float, *, size: int = 13, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}"'
        f' text-anchor="middle" dominant-baseline="central">{escape(text)}</text>'
    )
