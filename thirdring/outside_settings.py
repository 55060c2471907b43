"""What a business has elsewhere and its agent may use: a calendar, HTTP tools, MCP servers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = [
    "CalDavSettings",
    "CalendarSettings",
    "GoogleCalendarSettings",
    "HttpArgument",
    "HttpTool",
    "McpServer",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CalDavSettings(_Section):
    """A calendar on a CalDAV server (RFC 4791).

    Attributes:
        url: Of the calendar collection itself.
    """

    url: str
    username: str
    password: SecretStr


class GoogleCalendarSettings(_Section):
    """A Google calendar that a service account may write to.

    Attributes:
        calendar: Its id, an e-mail address.
        service_account: The JSON of the account's key, whole.
    """

    calendar: str
    service_account: SecretStr


class CalendarSettings(_Section):
    """Where the calendar of a business is kept; in our own store when neither is set."""

    caldav: CalDavSettings | None = None
    google: GoogleCalendarSettings | None = None


class HttpArgument(_Section):
    """One argument of a tool that is declared in the file.

    Attributes:
        description: For the model.
        choices: All that it may be; anything of its type when empty.
    """

    type: Literal["string", "integer", "number", "boolean"] = "string"
    description: str
    required: bool = True
    choices: tuple[str, ...] = ()


class HttpTool(_Section):
    """A tool that is one HTTP request.

    Attributes:
        name: Its key in the file, and what the model calls.
        description: For the model.
        url: https; `{argument}` in its path or query is replaced by what the model gave.
        headers: May hold secrets.
        effect: Whether it changes something there: then it is done once, and only confirmed.
        then: For the model: what to do with the answer.
    """

    name: str
    description: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: str
    arguments: dict[str, HttpArgument] = Field(default_factory=dict)
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 8.0
    effect: bool = False
    then: str | None = None


class McpServer(_Section):
    """A server of tools (Model Context Protocol, streamable HTTP).

    Attributes:
        name: Its key in the file.
        allowed_tools: What of it is offered; nothing else.
        headers: May hold secrets.
    """

    name: str
    url: str
    allowed_tools: tuple[str, ...]
    headers: dict[str, SecretStr] = Field(default_factory=dict)
