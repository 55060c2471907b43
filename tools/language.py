"""The language of the call, where a business speaks more than one."""

from __future__ import annotations

from typing import Any

from livekit.agents import RunContext, function_tool
from livekit.agents.llm import RawFunctionTool
from pydantic import JsonValue

from thirdring.errors import ToolRefused
from thirdring.languages import language_name
from thirdring.session import hear_language
from thirdring.settings import Business
from thirdring.state import CallState
from tools.guard import guarded
from tools.spoken import listed

__all__ = ["switching"]

_WHEN = (
    "Change the language of the call. Call this as soon as the caller speaks another language than "
    "you do, or asks for one; also for one that is not listed, to hear what you can offer instead."
)


def switching(business: Business) -> RawFunctionTool[..., Any]:
    """Return `switch_language` with the languages of a business."""
    tags = {tag.lower(): tag for tag in business.languages}
    names = [language_name(tag) for tag in business.languages]

    @guarded
    async def switch(ctx: RunContext[CallState], raw_arguments: dict[str, JsonValue]) -> str:
        wanted = str(raw_arguments.get("language", "")).strip().lower()
        tag = tags.get(wanted)
        if tag is None:
            raise ToolRefused(
                f"Only {listed(names)} can be spoken here. Say so in the language that you spoke "
                "so far, and ask which of these the caller wants."
            )
        hear_language(ctx.session, tag)
        name = language_name(tag)
        return f"From now on speak {name} only, whatever was said before. Go on in {name}."

    parameters = {
        "type": "object",
        "properties": {
            "language": {
                "type": "string",
                "description": "A tag: "
                + "; ".join(f"{tag} is {language_name(tag)}" for tag in business.languages),
            }
        },
        "required": ["language"],
        "additionalProperties": False,
    }
    described = {"name": "switch_language", "description": _WHEN}
    return function_tool(switch, raw_schema={**described, "parameters": parameters})
