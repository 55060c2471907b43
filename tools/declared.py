"""All tools that a business adds to those of a workflow: its own file's, its servers'."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Collection, Sequence
from typing import Any

from livekit.agents.llm import RawFunctionTool

from thirdring.errors import PhoneError
from thirdring.languages import codes
from thirdring.settings import Settings
from thirdring.state import CallState
from tools import calls, language
from tools.http_tools import http_tool

__all__ = ["declared_tools", "own_tools", "require_installed"]

logger = logging.getLogger(__name__)

Tool = RawFunctionTool[..., Any]


def require_installed(settings: Settings) -> None:
    """Return when what the businesses of a file need is installed.

    Raises:
        PhoneError: A business has MCP servers, and there is no client for them.
    """
    for business in settings.businesses:
        if business.mcp_servers:
            try:
                importlib.import_module("tools.mcp_tools")
            except ImportError:
                raise PhoneError(
                    f"businesses.{business.slug}.mcp_servers: the client for MCP servers is not "
                    "installed: `uv sync --inexact --extra mcp`"
                ) from None


def own_tools(state: CallState, taken: Sequence[str] = ()) -> list[Tool]:
    """Return the tools of a call that need no connection.

    Args:
        taken: Names of the workflow's tools. Where it has `transfer_call`, the one that is returned
            stands in for it: it names the destinations of the business.
    """
    business = state.business
    tools = [] if len(codes(business.languages)) == 1 else [language.switching(business)]
    names = {*taken, *(tool.info.name for tool in tools)}
    if business.destinations and calls.transfer_call.info.name in taken:
        tools.append(calls.transferring(business))
    declared = [http_tool(tool) for tool in business.tools.values()]
    return tools + [tool for tool in declared if _is_offered(state, tool, names)]


async def declared_tools(state: CallState, taken: Sequence[str] = ()) -> list[Tool]:
    """Return those of `own_tools` and of the MCP servers; of one that is away there are none."""
    tools = own_tools(state, taken)
    if not state.business.mcp_servers:
        return tools
    # Its library takes seconds to import where nothing has done so before.
    client = await asyncio.to_thread(importlib.import_module, "tools.mcp_tools")
    servers = state.business.mcp_servers.values()
    found: list[list[Tool]] = await asyncio.gather(
        *(client.mcp_tools(state, server) for server in servers)
    )
    names = {*taken, *(tool.info.name for tool in tools)}
    for tool in (tool for of_server in found for tool in of_server):
        if _is_offered(state, tool, names):
            names.add(tool.info.name)
            tools.append(tool)
    return tools


def _is_offered(state: CallState, tool: Tool, names: Collection[str]) -> bool:
    name = tool.info.name
    if name in names:
        # Two of one name would keep the session from starting.
        logger.warning("call %s: a second tool %s is left out", state.leg.call_id, name)
        return False
    return state.line.tools is None or name in state.line.tools
