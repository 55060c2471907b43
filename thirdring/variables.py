"""`${NAME}` in the strings of a file, replaced by variables of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["MissingVariable", "expand"]

_REFERENCE: Final = re.compile(r"\$(?P<escape>\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")


class MissingVariable(LookupError):
    """A reference that leads nowhere.

    Attributes:
        name: The variable; None when what follows `${` is no name.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        super().__init__(name)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` with each `${NAME}` replaced once; `$${` stands for a literal `${`.

    Raises:
        MissingVariable: The variable is unset or empty, or `${` does not begin a reference.
    """

    def value(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        name = match["name"]
        if not name or not environ.get(name):
            raise MissingVariable(name)
        return environ[name]

    return _REFERENCE.sub(value, text)
