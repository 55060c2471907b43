"""A real MCP server over streamable HTTP on loopback, and who asked it for what."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["ODD_SCHEMAS", "Shop", "shop"]

ODD_SCHEMAS = {
    "leads_elsewhere": {"$ref": "http://169.254.169.254/schema.json"},
    "leads_into_a_file": {"type": "string", "$dynamicRef": "file:///etc/passwd"},
    "is_none": {"type": 7},
    "is_too_long": {"enum": ["x" * 17_000]},
    "has_a_slow_pattern": {"type": "string", "pattern": "^(a+)+$"},
}
"""What `text` is to these tools, which take nothing else."""


async def _nothing(text: str) -> str:
    """Do nothing."""
    return text


READS = ToolAnnotations(read_only_hint=True)


@dataclass
class Shop:
    """A server of tools for orders.

    Attributes:
        calls: Its tools that were called, with their first argument.
        tokens: What each request had as its authorisation.
        says: What `find_order` answers.
        may_answer: Cleared to let `find_order` wait.
    """

    url: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    says: str = "It is on its way."
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def server(self) -> MCPServer:
        """Return the server's tools."""
        server = MCPServer("shop")

        @server.tool(annotations=READS)
        async def find_order(order: str, pieces: Annotated[int, Field(ge=1)] = 1) -> str:
            """Find an order."""
            del pieces
            self.calls.append(("find_order", order))
            await self.may_answer.wait()
            if order == "broken":
                raise ToolError("the database of sk-CANARY-7f3a9b is down")
            return self.says

        @server.tool()
        async def cancel_order(order: str, phone: str) -> str:
            """Cancel an order."""
            del phone
            self.calls.append(("cancel_order", order))
            if order == "broken":
                raise ToolError("it is cancelled, and the mail about it was not sent")
            return "Cancelled."

        @server.tool(name="drop tables")
        async def drop_tables() -> str:
            """Nobody should call this."""
            return "Dropped."

        @server.tool()
        async def delete_everything() -> str:
            """Nobody should call this either."""
            self.calls.append(("delete_everything", ""))
            return "Deleted."

        for name, odd in ODD_SCHEMAS.items():
            server.tool(name=name)(_nothing)
            tool = server._tool_manager.get_tool(name)
            assert tool is not None
            tool.parameters = {"type": "object", "properties": {"text": odd}}
        return server

    def noting(self, app: ASGIApp) -> ASGIApp:
        """Return the application, with the authorisation of each request noted."""

        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                headers = dict(scope["headers"])
                self.tokens.append(headers.get(b"authorization", b"").decode())
            await app(scope, receive, send)

        return noted


@asynccontextmanager
async def shop(*, json_answers: bool = False) -> AsyncIterator[Shop]:
    """Serve on a free port.

    Args:
        json_answers: It answers with JSON, not with streams of events.
    """
    made = Shop()
    made.may_answer.set()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        made.url = f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        app = made.noting(made.server().streamable_http_app(json_response=json_answers))
        config = uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield made
        finally:
            made.may_answer.set()
            server.should_exit = True
            await serving
