"""Tools of MCP servers (Model Context Protocol over streamable HTTP).

Needs the extra `mcp`; `tools.declared` imports it only for a business that has such servers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import httpx2
import jsonschema  # type: ignore[import-untyped]  # it publishes no types
import mcp_types
from livekit.agents import RunContext, function_tool
from livekit.agents.llm import RawFunctionTool
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from pydantic import JsonValue
from referencing import Registry

from thirdring.errors import ToolRefused
from thirdring.outside_settings import McpServer
from thirdring.prompts import plain
from thirdring.state import CallState
from tools.elsewhere import once_elsewhere
from tools.guard import as_data, guarded
from tools.http_answers import AWAY, redacted
from tools.mcp_transport import open_transport

__all__ = ["mcp_tools"]

logger = logging.getLogger(__name__)

CONNECTING_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 8.0
_CLOSING_SECONDS: Final = 1.0
_MOST_PAGES: Final = 10
_LONGEST_DESCRIPTION: Final = 1000
_LARGEST_SCHEMA: Final = 16 * 1024
_DIALECT: Final = jsonschema.Draft202012Validator
_REFERENCE: Final = re.compile(r'"\$(?:dynamic)?[rR]ef": "([^"]*)"')
_CALLABLE: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


async def mcp_tools(state: CallState, server: McpServer) -> list[RawFunctionTool[..., Any]]:
    """Return the tools of a server that its business allows; none when it is away.

    The connection lasts as long as the call.
    """
    name = f"call {state.leg.call_id}: MCP server {server.name}"
    try:
        async with asyncio.timeout(CONNECTING_SECONDS):
            client = await state.resources.enter_async_context(_connected(state, server))
            listed = await _listed(client, server)
    except Exception as error:  # whatever a server does, the call and its other tools go on
        logger.warning("%s: the call goes on without it: %s", name, _reason(error))
        return []
    for missing in sorted(set(server.allowed_tools) - {tool.name for tool in listed}):
        logger.warning("%s: it has no tool %s", name, missing)
    tools = []
    for tool in listed:
        try:
            tools.append(_tool(server, client, tool))
        except ValueError as error:
            logger.warning("%s: %s is not offered: %s", name, tool.name, error)
    return tools


async def _listed(client: Client, server: McpServer) -> list[mcp_types.Tool]:
    allowed, cursor = set(server.allowed_tools), None
    found: dict[str, mcp_types.Tool] = {}
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        found |= {tool.name: tool for tool in page.tools if tool.name in allowed}
        cursor = page.next_cursor
        if cursor is None:
            break
    return list(found.values())


@asynccontextmanager
async def _connected(state: CallState, server: McpServer) -> AsyncIterator[Client]:
    """Yield a client that a task of its own has opened: only that task may close it again."""
    found: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    task = asyncio.create_task(_hold(state, server, found, over))
    try:
        waited: set[asyncio.Future[Any]] = {task, found}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not found.done():
            task.result()
        yield found.result()
    finally:
        over.set()
        if found.done():  # it has something to say goodbye to
            await asyncio.wait({task}, timeout=_CLOSING_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _hold(
    state: CallState, server: McpServer, found: asyncio.Future[Client], over: asyncio.Event
) -> None:
    headers = {name: value.get_secret_value() for name, value in server.headers.items()}
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(open_transport(state.allowed_receivers))
        http = httpx2.AsyncClient(transport=transport, headers=headers, trust_env=False)
        await stack.enter_async_context(http)
        streams = streamable_http_client(server.url, http_client=http)
        client = Client(streams, read_timeout_seconds=ANSWER_SECONDS, cache=None)
        await stack.enter_async_context(client)
        found.set_result(client)
        await over.wait()


def _reason(error: BaseException) -> str:
    """Return why something did not come about; libraries wrap it in groups.

    Many name the URL or what the server says, which may hold a secret: of those no more than their
    kind is said.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, httpx2.TransportError) else kind


def _tool(server: McpServer, client: Client, tool: mcp_types.Tool) -> RawFunctionTool[..., Any]:
    """Return what the model may call.

    Raises:
        ValueError: A model cannot.
    """
    schema = _schema(tool)
    validator = _validator(schema)
    changes = not (tool.annotations is not None and tool.annotations.read_only_hint)

    @guarded(effect=changes, seconds=ANSWER_SECONDS + 2)
    async def call(ctx: RunContext[CallState], raw_arguments: dict[str, JsonValue]) -> str:
        wrong = next(validator.iter_errors(raw_arguments), None)
        if wrong is not None:
            where = ".".join(str(part) for part in wrong.absolute_path) or "the arguments"
            raise ToolRefused(f"{where}: not what {tool.name} takes ({wrong.validator}).")

        async def send(_key: str) -> str:
            return await _called(server, client, tool.name, raw_arguments)

        try:
            if changes:
                return await once_elsewhere(ctx, raw_arguments, send)
            return await send("")
        except (MCPError, TimeoutError) as error:
            call_id = ctx.userdata.leg.call_id
            logger.warning("call %s: %s: %s", call_id, tool.name, _reason(error))
            raise ToolRefused(AWAY) from error

    described = {
        "name": tool.name,
        "description": plain(tool.description or tool.name)[:_LONGEST_DESCRIPTION],
        "parameters": schema,
    }
    return function_tool(call, raw_schema=described)


def _schema(tool: mcp_types.Tool) -> dict[str, Any]:
    if not _CALLABLE.fullmatch(tool.name):
        raise ValueError("a model cannot call that name")
    schema = dict(tool.input_schema)
    if schema.get("type") != "object":
        raise ValueError("its arguments are no object")
    text = json.dumps(schema)
    if len(text) > _LARGEST_SCHEMA:
        raise ValueError("the schema of its arguments is too long")
    if any(not reference.startswith("#") for reference in _REFERENCE.findall(text)):
        raise ValueError("its schema leads elsewhere")
    try:
        _DIALECT.check_schema(schema)
    except jsonschema.SchemaError:
        raise ValueError("its schema is none") from None
    return {**schema, "properties": schema.get("properties", {})}


def _not_judged(*_: object) -> tuple[()]:
    return ()


# A pattern of the server's could take for ever on a text of the caller's; the server judges it.
_JUDGED: Final = jsonschema.validators.extend(
    _DIALECT, {"pattern": _not_judged, "patternProperties": _not_judged}
)


def _validator(schema: dict[str, Any]) -> Any:
    """Return what judges arguments; nothing is fetched for it."""
    return _JUDGED(schema, registry=Registry())


async def _called(
    server: McpServer, client: Client, name: str, arguments: Mapping[str, JsonValue]
) -> str:
    result = await client.call_tool(name, dict(arguments))
    text = redacted(_text(result.content), server.headers.values())
    if result.is_error:
        # Of a tool with effects this may be one that it had half done.
        raise ToolRefused(f"The tool reports an error: {as_data(text[:500])}")
    return as_data(text) if text else "Done. The tool said nothing more."


def _text(content: Sequence[mcp_types.ContentBlock]) -> str:
    parts = [
        block.text if isinstance(block, mcp_types.TextContent) else f"[{block.type} left out]"
        for block in content
    ]
    return "\n".join(parts).strip()
