"""Whether arguments are what a tool's own schema says, as far as schemas of tools say anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from thirdring.errors import ToolRefused

__all__ = ["must_fit"]

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_LONGEST: Final = 40


def must_fit(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Return when names and types are those of a JSON schema.

    Which values there are to choose from, the tool tells in better words.

    Raises:
        ToolRefused: One is not; the reason names it.
    """
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    for name in required:
        if name not in arguments:
            raise ToolRefused(f"{name} is missing.")
    for name, value in arguments.items():
        if name not in properties:
            if schema.get("additionalProperties", True) is False:
                known = ", ".join(properties) or "none at all"
                raise ToolRefused(f"There is no argument {_shown(name)}, only: {known[:120]}.")
        elif value is not None or name in required:
            _must_be_one_of(name, value, list(_choices(properties[name])))


def _choices(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    yield from alternatives or [schema]


def _must_be_one_of(name: str, value: object, choices: list[Mapping[str, Any]]) -> None:
    if not any(_fits(value, each) for each in choices):
        kinds = [str(each["type"]) for each in choices]
        raise ToolRefused(f"{name} must be of type {' or '.join(kinds)}.")


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        return True
    # To Python, True is an integer.
    return isinstance(value, _KINDS[kind]) and isinstance(value, bool) <= (kind == "boolean")


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name[:_LONGEST])
