"""A tool that fills in what a call leaves behind, made from the outcome of its workflow."""

from __future__ import annotations

import json
from typing import Any

from livekit.agents import RunContext, function_tool
from livekit.agents.llm import RawFunctionTool
from pydantic import JsonValue

from thirdring.errors import ToolRefused
from thirdring.outcome import Outcome
from thirdring.state import CallState
from tools.refusal import guarded

__all__ = ["known", "noting", "result"]


def noting(kind: type[Outcome], *, name: str, description: str) -> RawFunctionTool[..., Any]:
    """Return a tool with one optional argument for each field of an outcome.

    Its result says all that is known by now, so that nothing is asked twice, and what is missing.

    Args:
        kind: The outcome of the workflow that has this tool.
        description: For the model: when to call it.
    """

    @guarded
    async def note(ctx: RunContext[CallState], raw_arguments: dict[str, JsonValue]) -> str:
        told = {key: value for key, value in raw_arguments.items() if value is not None}
        unknown = sorted(told.keys() - kind.model_fields.keys())
        if unknown:
            fields = ", ".join(kind.model_fields)
            raise ToolRefused(f"There is no {unknown[0][:40]!r} to note, only {fields}.")
        if not told:
            raise ToolRefused("Nothing was given to note.")
        return result(ctx.userdata.outcome.fill(**told))

    schema = {"name": name, "description": description, "parameters": _parameters(kind)}
    return function_tool(note, raw_schema=schema)


def result(outcome: Outcome) -> str:
    """Return what a tool answers once it has changed the outcome."""
    return json.dumps({"known": known(outcome), "missing": outcome.missing()}, ensure_ascii=False)


def known(outcome: Outcome) -> dict[str, JsonValue]:
    """Return the fields that say something."""
    fields: dict[str, JsonValue] = outcome.model_dump(mode="json", exclude_defaults=True)
    return fields


def _parameters(kind: type[Outcome]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    properties = {name: _plain(field) for name, field in schema["properties"].items()}
    parameters = {"type": "object", "properties": properties, "additionalProperties": False}
    return parameters | {key: schema[key] for key in ("$defs",) if key in schema}


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema without what the model need not read: its default, `null`."""
    kept = {key: value for key, value in field.items() if key not in ("default", "title")}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        kept.pop("anyOf")
        kept.update(choices[0])
    return kept
