"""YAML files of the local world, read into pydantic models with the place of every mistake."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError

from thirdring.errors import ConfigError, Problem
from thirdring.yaml_document import Document, YamlPath, spelled

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["read_model"]

# Where pydantic speaks of Python to people who write YAML.
_WORDS: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is no key that is known here",
    "tuple_type": "is not a list",
    "string_type": "is not text; in quotes if it looks like something else",
    "bool_type": "is neither true nor false",
    "bool_parsing": "is neither true nor false",
    "too_short": "is empty",
}

_Model = TypeVar("_Model", bound=BaseModel)


def read_model(path: Path, model: type[_Model], *, keys: str, described_in: str) -> _Model:
    """Return what a file holds.

    Args:
        keys: What the file should have at its top, for whoever left it empty.
        described_in: The module that explains its form.

    Raises:
        ConfigError: With every problem found, where it is and what would be right.
    """
    document = Document.read(path, expected=keys)
    if document.problems:
        raise ConfigError(document.problems)

    def wrong(where: YamlPath, what: str) -> Problem:
        place, expected = document.nearest(where), f"what {described_in} describes"
        return Problem(
            document.file, place.line, place.column, spelled(where), what, place.written, expected
        )

    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # Of a list only the entries without a mistake are counted: it is short for want of those.
        broken = {one["loc"][:depth] for one in found for depth in range(len(one["loc"]))}
        told = [one for one in found if one["type"] != "too_short" or one["loc"] not in broken]
        raise ConfigError([wrong(one["loc"], _in_words(one)) for one in told]) from None


def _in_words(found: ErrorDetails) -> str:
    return _WORDS.get(found["type"], found["msg"].removeprefix("Value error, "))
