"""What a workflow knows by heart: the texts in its folder `policies`, one topic each."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from livekit.agents import RunContext
from livekit.agents.llm import RawFunctionTool, ToolFlag
from livekit.agents.llm.tool_context import RawFunctionToolInfo
from pydantic import JsonValue

from thirdring import prompts
from thirdring.errors import ToolRefused
from thirdring.facts import facts_of
from thirdring.metadata import Metadata
from thirdring.state import CallState
from tools.guard import LONGEST_RESULT, guarded

__all__ = ["look_up_in", "of"]

_HEADING: Final = re.compile(r"^#+ +(.+)$", re.MULTILINE)
_WHEN: Final = (
    "Look up what is known about a topic. Call this before you answer a question about one of "
    "them, and say nothing about it that the text does not say. Topics: "
)


def of(module: str) -> RawFunctionTool[..., Any]:
    """Return `look_up` over the `policies` beside a workflow's module; give it `__file__`."""
    return look_up_in(Path(module).parent / "policies")


def look_up_in(folder: Path) -> RawFunctionTool[..., Any]:
    """Return `look_up` over the texts in a folder; a text that comes or goes is offered or not.

    Raises:
        ValueError: The folder has no texts, or one that is too long for a result.
    """
    for name, path in _texts(folder).items():
        if path.stat().st_size > LONGEST_RESULT:
            raise ValueError(f"{path.name}: {name} is longer than 8 KiB; split it")
    if not _texts(folder):
        raise ValueError(f"{folder} has no texts: one .md file per topic")

    @guarded
    async def look_up(ctx: RunContext[CallState], raw_arguments: dict[str, JsonValue]) -> str:
        topic = raw_arguments.get("topic")
        path = _texts(folder).get(topic) if isinstance(topic, str) else None
        if path is None:
            raise ToolRefused(
                f"There is no text about that, only about {', '.join(_texts(folder))}. If none of "
                "these answers the question, say that you do not know."
            )
        return _filled(ctx.userdata, path.read_text(encoding="utf-8")).strip()

    return _LookUp(look_up, folder)


class _LookUp(RawFunctionTool[..., Any]):
    """Offers the topics that there are when it is offered, not those of the start."""

    def __init__(self, body: Callable[..., Awaitable[str]], folder: Path) -> None:
        self._folder = folder
        super().__init__(body, _described(folder))

    @property
    def info(self) -> RawFunctionToolInfo:
        return _described(self._folder)


def _described(folder: Path) -> RawFunctionToolInfo:
    texts = _texts(folder)
    titled = [f"{name} ({title})" if title else name for name, title in _titles(texts)]
    schema = {
        "name": "look_up",
        "description": _WHEN + ", ".join(titled) + ".",
        "parameters": {
            "type": "object",
            "properties": {"topic": {"type": "string", "enum": list(texts)}},
            "required": ["topic"],
            "additionalProperties": False,
        },
    }
    return RawFunctionToolInfo(name="look_up", raw_schema=schema, flags=ToolFlag.NONE)


def _texts(folder: Path) -> dict[str, Path]:
    """Return the texts of a folder by topic, in the order of their names."""
    return {path.stem: path for path in sorted(folder.glob("*.md"))}


def _titles(texts: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    for name, path in texts.items():
        heading = _HEADING.search(path.read_text(encoding="utf-8"))
        yield name, heading[1].strip() if heading else ""


def _filled(state: CallState, text: str) -> str:
    now = state.clock.now()
    return prompts.fill(text, facts_of(state.business, state.line, state.leg, Metadata(), now=now))
