"""The part of `thirdring.yaml` that says what a business has elsewhere."""

from __future__ import annotations

import json
import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from thirdring.config_values import FilePart, not_empty, wrong
from thirdring.outside_settings import (
    CalDavSettings,
    CalendarSettings,
    GoogleCalendarSettings,
    HttpArgument,
    HttpTool,
    McpServer,
)

__all__ = ["CalendarFile", "HttpToolFile", "McpServerFile", "tool_name"]

_TOOL: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ARGUMENT: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
_NOT_OURS_TO_SET: Final = frozenset(
    (
        *("connection", "content-length", "cookie", "host", "idempotency-key"),
        *("transfer-encoding", "te", "trailer", "upgrade"),
    )
)
"""What the request itself needs, or what belongs to one call."""

_Url = Annotated[str, Field(min_length=1, max_length=2000)]
_Text = Annotated[str, Field(min_length=1, max_length=1000)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]


def tool_name(text: str) -> str:
    """Return a name that the model can call."""
    if not _TOOL.fullmatch(text):
        raise wrong("is no name for a tool", "up to 63 of a-z, 0-9 and _, a letter first")
    return text


def _argument_name(text: str) -> str:
    if not _ARGUMENT.fullmatch(text):
        raise wrong("is no name for an argument", "up to 41 of a-z, 0-9 and _, a letter first")
    return text


def _header_name(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise wrong("is no name for a header", "letters, digits and -")
    if text.lower() in _NOT_OURS_TO_SET:
        raise wrong("is set by the request itself", "a header of your own")
    return text


def _header_value(text: str) -> str:
    if not _HEADER_VALUE.fullmatch(text) or len(text) > 4000:
        raise wrong("is no value of a header", "one line of ASCII")
    return text


def _service_account(text: str) -> str:
    expected = "the whole JSON of a service account's key"
    try:
        key = json.loads(text)
    except ValueError:
        raise wrong("is no JSON", expected) from None
    if not isinstance(key, dict):
        raise wrong("is no JSON object", expected)
    for name in ("client_email", "private_key"):
        if not isinstance(key.get(name), str) or not key[name]:
            raise wrong(f"has no {name}", expected)
    return text


def _choice(value: object) -> str:
    # Numbers may be written as such.
    if isinstance(value, str) and 0 < len(value) <= 200:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise wrong("is no choice", "text or a number")


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong("is not a number", "seconds, such as 8 or 2.5")
    if not 0 < value <= 30:
        raise wrong("is no time to wait", "more than 0 and at most 30 seconds")
    return float(value)


class CalDavFile(FilePart):
    url: _Url
    username: _Name
    password: _Name

    def settings(self) -> CalDavSettings:
        password = SecretStr(self.password)
        return CalDavSettings(url=self.url, username=self.username, password=password)


class GoogleFile(FilePart):
    calendar: _Name
    service_account: Annotated[str, AfterValidator(_service_account)]

    def settings(self) -> GoogleCalendarSettings:
        account = SecretStr(self.service_account)
        return GoogleCalendarSettings(calendar=self.calendar, service_account=account)


class CalendarFile(FilePart):
    """Where the calendar is kept."""

    caldav: CalDavFile | None = None
    google: GoogleFile | None = None

    def settings(self) -> CalendarSettings:
        """Return what the rest of the program reads."""
        return CalendarSettings(
            caldav=self.caldav and self.caldav.settings(),
            google=self.google and self.google.settings(),
        )


Headers = dict[
    Annotated[str, AfterValidator(_header_name)], Annotated[str, AfterValidator(_header_value)]
]


class HttpArgumentFile(FilePart):
    type: Literal["string", "integer", "number", "boolean"] = "string"
    description: _Text
    required: Annotated[bool, Field(strict=True)] = True
    choices: tuple[Annotated[str, BeforeValidator(_choice)], ...] = ()


class HttpToolFile(FilePart):
    """One HTTP request; `thirdring.config_outside_checks` judges its URL."""

    description: _Text
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: _Url
    arguments: dict[Annotated[str, AfterValidator(_argument_name)], HttpArgumentFile] = Field(
        default_factory=dict
    )
    headers: Headers = Field(default_factory=dict)
    timeout_seconds: Annotated[float, BeforeValidator(_seconds)] = 8.0
    effect: Annotated[bool, Field(strict=True)] = False
    then: _Text | None = None

    def tool(self, name: str) -> HttpTool:
        """Return what the rest of the program reads."""
        return HttpTool(
            name=name,
            description=self.description,
            method=self.method,
            url=self.url,
            arguments={
                key: HttpArgument.model_validate(argument.model_dump())
                for key, argument in self.arguments.items()
            },
            headers={key: SecretStr(value) for key, value in self.headers.items()},
            timeout_seconds=self.timeout_seconds,
            effect=self.effect,
            then=self.then,
        )


class McpServerFile(FilePart):
    """A server of tools; nothing of it is offered unless it is named."""

    url: _Url
    allowed_tools: Annotated[tuple[_Name, ...], AfterValidator(not_empty)]
    headers: Headers = Field(default_factory=dict)

    def server(self, name: str) -> McpServer:
        """Return what the rest of the program reads."""
        return McpServer(
            name=name,
            url=self.url,
            allowed_tools=self.allowed_tools,
            headers={key: SecretStr(value) for key, value in self.headers.items()},
        )
