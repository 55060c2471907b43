"""What a tool with a guard is to LiveKit: one whose arguments reach the guard as they came."""

from __future__ import annotations

import json
from typing import Any, Final

from livekit.agents import RunContext, llm
from pydantic import JsonValue

__all__ = ["GUARDED", "NO_JSON", "as_raw", "unrepaired"]

GUARDED: Final = "__guarded__"
"""An attribute of the tools whose arguments, time, results and number are limited."""

NO_JSON: Final = "no_json"


def as_raw(tool: Any) -> Any:
    """Return a tool whose arguments LiveKit does not judge, if its guard does; else the same.

    LiveKit would make the schema anew for every call, and tell the model of what is wrong in many
    lines; it passes on what a raw tool is called with (livekit-agents 1.8.9, llm/utils.py:744).
    """
    if not isinstance(tool, llm.FunctionTool) or not getattr(tool, GUARDED, False):
        return tool
    schema = llm.utils.build_legacy_openai_schema(tool, internally_tagged=True)
    schema["parameters"]["additionalProperties"] = False

    async def call(ctx: RunContext[Any], raw_arguments: dict[str, JsonValue]) -> Any:
        del raw_arguments  # the guard reads those of the call itself
        return await tool(ctx)

    setattr(call, GUARDED, True)
    return llm.function_tool(
        call,
        raw_schema={key: schema[key] for key in ("name", "description", "parameters")},
        flags=tool.info.flags,
        on_duplicate=tool.info.on_duplicate,
        duplicate_scope=tool.info.duplicate_scope,
    )


def unrepaired(arguments: str) -> str:
    """Return the arguments of a function call, so that LiveKit does not guess what they mean.

    It would mend what is no JSON object, and a tool would act on the guess.
    """
    try:
        value = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        value = arguments
    if value is None or isinstance(value, dict):
        return arguments
    return json.dumps({NO_JSON: arguments[:200]})
