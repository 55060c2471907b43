"""Tools that fill in what a call leaves behind, made from the outcome of its workflow."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, TypeAlias, TypeVar

from livekit.agents import RunContext, function_tool
from livekit.agents.llm import FunctionTool, RawFunctionTool
from pydantic import JsonValue

from thirdring.errors import ToolRefused
from thirdring.outcome import Outcome
from thirdring.state import CallState
from tools.guard import guarded

__all__ = ["filling", "known", "noting", "result"]

Told: TypeAlias = dict[str, JsonValue]
_Kind = TypeVar("_Kind", bound=Outcome)


def noting(
    kind: type[_Kind],
    *,
    name: str,
    description: str,
    own: tuple[str, ...] = (),
    amend: Callable[[CallState, Told], Told] | None = None,
    after: Callable[[CallState, _Kind], Awaitable[Told]] | None = None,
) -> RawFunctionTool[..., Any]:
    """Return a tool with one optional argument for each field of an outcome.

    Its result says all that is known by now, so that nothing is asked twice, and what is missing.

    Args:
        kind: The outcome of the workflow that has this tool.
        description: For the model: when to call it.
        own: Fields that code fills in, never the model.
        amend: Gets what the model gave and returns what is noted.
        after: Called with what is known once it is noted; what it returns is said of it besides.
    """
    fields = [field for field in kind.model_fields if field not in own]

    @guarded
    async def note(ctx: RunContext[CallState], raw_arguments: Told) -> str:
        state = ctx.userdata
        told: Told = {key: value for key, value in raw_arguments.items() if value is not None}
        if not told:
            raise ToolRefused("Nothing was given to note.")
        noted = state.outcome.fill(**(told if amend is None else amend(state, told)))
        if after is not None and isinstance(noted, kind):
            return result(noted, **await after(state, noted))
        return result(noted)

    schema = {"name": name, "description": description, "parameters": _parameters(kind, fields)}
    return function_tool(note, raw_schema=schema)


def filling(
    tool: FunctionTool[..., Any], kind: type[_Kind], fields: Callable[[_Kind, Any], Told]
) -> FunctionTool[..., Any]:
    """Return a tool whose results are noted in the outcome, which no model has to be trusted with.

    Args:
        kind: The outcome of the workflow that has this tool.
        fields: Gets what is known and the result, parsed when it is JSON; returns what is noted.
    """

    @wraps(tool)
    async def noted(ctx: RunContext[CallState], *args: object, **kwargs: object) -> str:
        text = str(await tool(ctx, *args, **kwargs))
        sheet = ctx.userdata.outcome
        if isinstance(sheet.value, kind):
            sheet.fill(**fields(sheet.value, _parsed(text)))
        return text

    return FunctionTool(noted, tool.info)


def result(outcome: Outcome, **more: JsonValue) -> str:
    """Return what a tool answers once it has changed the outcome."""
    said = {"known": known(outcome), "missing": outcome.missing(), **more}
    return json.dumps(said, ensure_ascii=False)


def known(outcome: Outcome) -> Told:
    """Return the fields that say something."""
    fields: Told = outcome.model_dump(mode="json", exclude_defaults=True)
    return fields


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parameters(kind: type[Outcome], fields: list[str]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    properties = {name: _plain(schema["properties"][name]) for name in fields}
    parameters = {"type": "object", "properties": properties, "additionalProperties": False}
    return parameters | {key: schema[key] for key in ("$defs",) if key in schema}


def _plain(field: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field's schema without what the model need not read: its default, `null`."""
    kept = {key: value for key, value in field.items() if key not in ("default", "title")}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        kept.pop("anyOf")
        kept.update(choices[0])
    return kept
