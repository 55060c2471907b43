"""YAML files of the local world, read into pydantic models with the place of every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from thirdring.errors import ConfigError, Problem
from thirdring.yaml_document import Document, YamlPath, spelled

__all__ = ["read_model"]

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
        raise ConfigError([wrong(one["loc"], one["msg"]) for one in found]) from None
