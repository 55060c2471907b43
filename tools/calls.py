"""The call itself as something the model can act on: ending it, connecting it with somebody."""

from __future__ import annotations

import json
from typing import Any

from livekit.agents import RunContext, StopResponse, function_tool
from livekit.agents.llm import RawFunctionTool
from livekit.agents.voice import SpeechHandle
from pydantic import JsonValue

from thirdring.errors import ToolRefused
from thirdring.settings import Business, Destination
from thirdring.state import CallState
from tools.guard import guarded
from tools.spoken import listed

__all__ = ["end_call", "transfer_call", "transferring"]

_ASKED_TWICE = 2

_TRANSFER = """Connect the caller with somebody else, by the name of a destination. Call this when
the caller asks for a person or needs what only they can do. Never say that you are connecting
before this has returned."""


@function_tool
@guarded
async def end_call(ctx: RunContext[CallState]) -> str:
    """End the phone call. Call this when the caller says goodbye or needs nothing more.

    Do not call it when the caller only pauses, or when it is unclear whether they are done.
    """
    state, speech = ctx.userdata, ctx.speech_handle
    if state.end_requested.is_set():
        raise StopResponse
    state.goodbyes[speech.id] = state.goodbyes.get(speech.id, 0) + 1
    if state.goodbyes[speech.id] > _ASKED_TWICE:
        # A model that only calls this would be answered for ever; it has been told twice.
        raise StopResponse
    if state.goodbyes[speech.id] == 1:
        # The goodbye is the reply to this tool's result and belongs to the same speech.
        speech.add_done_callback(lambda said: _goodbye_was_said(state, said))
    return "The call ends after your next words. Say a short goodbye now."


def _goodbye_was_said(state: CallState, speech: SpeechHandle) -> None:
    # A caller who speaks over the goodbye has something to add: the call goes on.
    if not speech.interrupted:
        state.end_requested.set()


@function_tool(description=" ".join(_TRANSFER.split()))
@guarded
async def transfer_call(ctx: RunContext[CallState], destination: str) -> str:
    """Connect the caller with somebody else.

    Args:
        destination: The name of a destination, never a number.
    """
    return await _transfer(ctx.userdata, destination)


def transferring(business: Business) -> RawFunctionTool[..., Any]:
    """Return `transfer_call` as this business has it: the model sees its destinations alone."""

    @guarded
    async def transfer(ctx: RunContext[CallState], raw_arguments: dict[str, JsonValue]) -> str:
        return await _transfer(ctx.userdata, raw_arguments.get("destination"))

    places = business.destinations.values()
    which = "; ".join(f"{place.name}: {place.when}" for place in places)
    parameters = {
        "type": "object",
        "properties": {
            "destination": {
                "type": "string",
                "enum": [place.name for place in places],
                "description": f"Who the caller belongs to. {which}",
            }
        },
        "required": ["destination"],
        "additionalProperties": False,
    }
    described = {"name": "transfer_call", "description": " ".join(_TRANSFER.split())}
    return function_tool(transfer, raw_schema={**described, "parameters": parameters})


async def _transfer(state: CallState, name: object) -> str:
    place = _destination(state.business, name)
    if state.transfer is None:
        raise ToolRefused(
            f"This call cannot be connected with {place.name}. Nobody is being called: say so, and "
            "offer to take a message or to have the caller called back."
        )
    await state.transfer.to(place)
    return json.dumps({"connected_with": place.name}, ensure_ascii=False)


def _destination(business: Business, name: object) -> Destination:
    # Of names alone: a number that the caller dictates or the model makes up leads nowhere.
    place = business.destinations.get(name) if isinstance(name, str) else None
    if place is not None:
        return place
    if not business.destinations:
        raise ToolRefused(
            "Calls cannot be transferred here. Say so, and offer to take a message or to have the "
            "caller called back."
        )
    raise ToolRefused(
        f"Callers are transferred to {listed(list(business.destinations))} only, by these names, "
        "never to a number. Offer these, or to take a message."
    )
