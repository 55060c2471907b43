"""From the arguments of a model to the one request that the file allows them to make.

A value fills its place in the path or the query and nothing beyond: host, path and query are those
of the file, whatever a caller has said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from pydantic import JsonValue

from thirdring.errors import ToolRefused
from thirdring.outside_settings import HttpArgument, HttpTool

__all__ = ["Request", "Value", "choices", "given", "request_of"]

Value = str | int | float | bool

_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_URL: Final = re.compile(r"([^:/?#]+://[^/?#]*)([^?#]*)(?:\?([^#]*))?")
# Some servers decode a path before they look for its parts, or twice.
_NOT_IN_PATH: Final = frozenset("/\\%;?#")
_IN_QUERY: Final = frozenset({"GET", "DELETE"})


@dataclass(frozen=True)
class Request:
    """What is sent; its headers hold secrets."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None


def given(declared: HttpTool, arguments: Mapping[str, JsonValue]) -> dict[str, Value]:
    """Return the arguments that were given; the guard has seen that they are of their types.

    Raises:
        ToolRefused: One is none of its choices.
    """
    values = {name: value for name, value in arguments.items() if isinstance(value, Value)}
    for name, value in values.items():
        argument = declared.arguments[name]
        if argument.choices and value not in choices(argument):
            raise ToolRefused(f"{name} must be one of {', '.join(argument.choices)}.")
    return values


def choices(argument: HttpArgument) -> list[Value]:
    """Return all that an argument may be, each of its type; empty for anything."""
    kinds: dict[str, type[int] | type[float]] = {"integer": int, "number": float}
    kind = kinds.get(argument.type, str)
    return [kind(choice) for choice in argument.choices]


def request_of(
    declared: HttpTool, arguments: Mapping[str, Value], *, key: str | None = None
) -> Request:
    """Return the request of a tool: what its URL does not name goes into the query or the body.

    Args:
        key: Of an effect, so that the service can tell a repetition.

    Raises:
        ToolRefused: A value cannot stand where the file wants it.
    """
    match = _URL.fullmatch(declared.url)
    assert match is not None, "the file's URLs are checked"
    origin, path, query = match[1], _path(match[2], arguments), match[3] or ""
    left = {name: arguments[name] for name in arguments.keys() - _places(declared.url)}
    pairs = [part for part in query.split("&") if part and _places(part) <= arguments.keys()]
    parts = [_PLACE.sub(lambda place: _quoted(arguments[place[1]]), part) for part in pairs]
    body = None
    headers = {name: value.get_secret_value() for name, value in declared.headers.items()}
    # What is compressed could be a thousand times of what came.
    headers |= {"Accept": "application/json, text/*;q=0.9", "Accept-Encoding": "identity"}
    if declared.method in _IN_QUERY:
        parts += [f"{quote(name, safe='')}={_quoted(left[name])}" for name in sorted(left)]
    else:
        body = json.dumps(left, ensure_ascii=False, sort_keys=True).encode()
        headers["Content-Type"] = "application/json"
    if key is not None:
        headers["Idempotency-Key"] = key
    return Request(origin + path + ("?" + "&".join(parts) if parts else ""), headers, body)


def _places(text: str) -> set[str]:
    return set(_PLACE.findall(text))


def _path(template: str, arguments: Mapping[str, Value]) -> str:
    def value(place: re.Match[str]) -> str:
        name = place[1]
        text = str(_plain(arguments.get(name, "")))
        if not text or not _NOT_IN_PATH.isdisjoint(text):
            raise ToolRefused(f"{name} is not what the service knows by that name.")
        return quote(text, safe="")

    path = _PLACE.sub(value, template)
    if any(segment in {".", ".."} for segment in path.split("/")):
        raise ToolRefused("That is not what the service knows by that name.")
    return path


def _quoted(value: Value) -> str:
    return quote(str(_plain(value)), safe="")


def _plain(value: Value) -> Value:
    return str(value).lower() if isinstance(value, bool) else value
