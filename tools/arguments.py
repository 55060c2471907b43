"""What a model may call a tool with: exactly what the tool's signature says, and nothing odd.

LiveKit repairs what is no JSON, drops what no argument is for, makes numbers of texts, lets
infinity through, and tells the model of the rest in the words of pydantic.
"""

from __future__ import annotations

import inspect
import math
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, get_type_hints

from livekit.agents.llm.utils import is_context_type
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import from_json, to_json

from thirdring.errors import ToolRefused
from thirdring.raw_tools import NO_JSON

__all__ = ["LONGEST_TEXT", "RAW", "arguments_for"]

LONGEST_TEXT: Final = 2_000
"""Characters of one text."""

_LONGEST: Final = 16 * 1024
_DEEPEST: Final = 8
_LONGEST_NAME: Final = 40
_LONGEST_REASON: Final = 200

RAW: Final = "raw_arguments"
"""The one parameter of a tool whose schema is its own; it judges what its arguments mean."""

_CONFIG = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def arguments_for(body: Callable[..., Any], given: str) -> dict[str, Any]:
    """Return what to call the body of a tool with.

    Args:
        given: JSON, as the model gave it.

    Raises:
        ToolRefused: It is not what the tool takes; the reason names the argument.
    """
    arguments = _object(given)
    for path, value in _values("", arguments, 0):
        _must_be_sane(path, value)
    model = _model(body)
    if model is None:
        return {RAW: arguments}
    fields = model.model_fields
    # To a model, null for what may be left out is the same as leaving it out.
    meant = {
        name: value
        for name, value in arguments.items()
        if value is not None or name not in fields or fields[name].is_required()
    }
    try:
        checked = model.model_validate_json(to_json(meant))
    except ValidationError as error:
        raise ToolRefused(_reason(error, model)) from None
    return {name: getattr(checked, name) for name in fields}


def _object(given: str) -> dict[str, Any]:
    if len(given) > _LONGEST:
        raise ToolRefused("The arguments are too long. Use a few words for each.")
    try:
        value = from_json(given or "{}")
    except ValueError:
        value = None
    if not isinstance(value, dict) or NO_JSON in value:
        raise ToolRefused("The arguments are not a JSON object. Call again with one.")
    return value


def _values(path: str, value: object, depth: int) -> Iterator[tuple[str, object]]:
    if depth > _DEEPEST:
        raise ToolRefused("The arguments are nested too deeply.")
    yield path, value
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield f"{path}.{name}".lstrip(".")[:_LONGEST_NAME], name
            yield from _values(f"{path}.{name}".lstrip("."), inner, depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _values(f"{path}[{number}]", inner, depth + 1)


def _must_be_sane(path: str, value: object) -> None:
    name = _shown(path)
    if isinstance(value, float) and not math.isfinite(value):
        raise ToolRefused(f"{name} is not a finite number.")
    if isinstance(value, int) and abs(value) > 2**53:
        raise ToolRefused(f"{name} is too large.")
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            raise ToolRefused(f"{name} is too long: at most {LONGEST_TEXT} characters.")
        if not value.isprintable() and not all(map(_can_be_said, value)):
            raise ToolRefused(f"{name} holds characters that nobody says. Leave them out.")


# Without the joiners, Persian and Hindi are misspelt.
_UNPRINTED: Final = "\n\t\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"


def _can_be_said(c: str) -> bool:
    return c.isprintable() or c in _UNPRINTED or unicodedata.category(c) == "Zs"


def _shown(path: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in path[:_LONGEST_NAME])
    return shown or "An argument"


@lru_cache(maxsize=512)
def _model(body: Callable[..., Any]) -> type[BaseModel] | None:
    """Return what the arguments of a body are; None when its schema is its own."""
    parameters = inspect.signature(body).parameters
    if RAW in parameters:
        return None
    hints = get_type_hints(body, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if is_context_type(hints[name], allow_subclasses=True):
            continue
        field = FieldInfo.from_annotation(hints[name])
        if parameter.default is not parameter.empty:
            field.default = parameter.default
        fields[name] = (field.annotation, field)
    return create_model(body.__name__, __config__=_CONFIG, **fields)


def _reason(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = _shown(".".join(str(part) for part in first["loc"]))
    if first["type"] == "missing":
        return f"{name} is missing."
    if first["type"] == "extra_forbidden":
        known = ", ".join(model.model_fields) or "none at all"
        return f"There is no argument {name}, only: {known}."[:_LONGEST_REASON]
    return f"{name}: {first['msg']}."[:_LONGEST_REASON]
