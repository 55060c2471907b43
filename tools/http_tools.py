"""Tools that a business declares in its file: each call of one is one HTTP request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import httpx
from livekit.agents import RunContext, function_tool
from livekit.agents.llm import RawFunctionTool
from pydantic import JsonValue

from thirdring.egress import Network
from thirdring.errors import EgressRefused, ToolRefused
from thirdring.guarded_http import GuardedClient, authorities
from thirdring.outside_settings import HttpTool
from thirdring.state import CallState
from tools.elsewhere import NotDone, loggable, once_elsewhere
from tools.guard import guarded
from tools.http_answers import AWAY, Unreadable, heard
from tools.http_requests import Request, Value, choices, given, request_of

__all__ = ["http_tool"]

logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS: Final = 30
_CONFIRMING_SECONDS: Final = 2.0
"""What a confirmation may take besides the request itself."""


def http_tool(declared: HttpTool) -> RawFunctionTool[..., Any]:
    """Return what the model may call: its arguments are those of the file, and no others."""

    @guarded(effect=declared.effect, seconds=declared.timeout_seconds + _CONFIRMING_SECONDS)
    async def call(ctx: RunContext[CallState], raw_arguments: dict[str, JsonValue]) -> str:
        return await _answer(ctx, declared, given(declared, raw_arguments))

    return function_tool(call, raw_schema=_schema(declared))


def _schema(declared: HttpTool) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name, argument in declared.arguments.items():
        properties[name] = {"type": argument.type, "description": argument.description}
        if argument.choices:
            properties[name]["enum"] = choices(argument)
    return {
        "name": declared.name,
        "description": declared.description,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": [name for name, one in declared.arguments.items() if one.required],
            "additionalProperties": False,
        },
    }


@dataclass(frozen=True)
class _Line:
    """What the HTTP tools of one call share."""

    client: GuardedClient


@asynccontextmanager
async def _open(allowed: tuple[Network, ...]) -> AsyncIterator[_Line]:
    limits = httpx.Limits(max_connections=8, keepalive_expiry=_KEEP_ALIVE_SECONDS)
    tls = await asyncio.to_thread(authorities)
    async with GuardedClient(allowed, limits=limits, timeout=30, tls=tls) as client:
        yield _Line(client)


async def _answer(
    ctx: RunContext[CallState], declared: HttpTool, arguments: Mapping[str, Value]
) -> str:
    request = request_of(declared, arguments)
    if declared.effect:

        async def send(key: str) -> str:
            return await _exchange(ctx.userdata, declared, request_of(declared, arguments, key=key))

        return await once_elsewhere(ctx, arguments, send)
    try:
        return await _exchange(ctx.userdata, declared, request)
    except NotDone as error:
        raise ToolRefused(str(error)) from error
    except (TimeoutError, httpx.HTTPError, Unreadable) as error:
        call_id = ctx.userdata.leg.call_id
        logger.warning("call %s: %s: %s", call_id, declared.name, loggable(error))
        raise ToolRefused(AWAY) from error


async def _exchange(state: CallState, declared: HttpTool, request: Request) -> str:
    """Send once and return what the model hears of the answer.

    Raises:
        NotDone: The service said no, or nothing was sent.
        TimeoutError, httpx.HTTPError, Unreadable: It is not known what happened there.
    """
    line = await state.port(_Line, partial(_open, state.allowed_receivers))
    sending = line.client.sending(declared.method, request.url, request.body, request.headers)
    try:
        async with asyncio.timeout(declared.timeout_seconds), sending as response:
            return await heard(response, declared)
    except (EgressRefused, httpx.ConnectError, httpx.ConnectTimeout) as error:
        why = loggable(error)
        logger.warning("call %s: %s: nothing was sent: %s", state.leg.call_id, declared.name, why)
        raise NotDone(AWAY) from error
