"""The problems of a configuration: what they show of a value, and where they point."""

from __future__ import annotations

import re
from typing import Final

from thirdring.errors import ConfigError, Problem
from thirdring.yaml_document import Document, Place, YamlPath, spelled

__all__ = ["Findings", "shown"]

_SECRET_KEY: Final = re.compile(r"(?:^|[_-])(?:secret|password|passwd|key|token)s?$", re.IGNORECASE)
_SOUNDS_SECRET: Final = frozenset({"reply_tokens"})
"""A key like those of secrets, of a number that is none."""

_SECRET_PARTS: Final = frozenset({"headers", "notify", "service_account"})
_REFERENCES: Final = re.compile(r"(?:\$\{[A-Za-z_][A-Za-z0-9_]*\})+")
# Secrets in the wrong place: signing secrets, model keys, what a URL carries for its server.
_LOOKS_SECRET: Final = (
    (re.compile(r"\b(whsec_|sk-)\S+"), r"\1***"),
    (re.compile(r"(mongodb(?:\+srv)?://).*@", re.DOTALL), r"\1***@"),
    (re.compile(r"//[^/?#]*@"), "//***@"),
    (re.compile(r"((?:https?|mongodb(?:\+srv)?)://[^?#]*)[?#].*", re.DOTALL), r"\1?***"),
)
_MAX_SHOWN: Final = 80


def _escaped(text: str) -> str:
    """Return `text` on one line that a terminal shows as it stands, 80 characters at most."""
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode("ascii")
        for c in text[: _MAX_SHOWN + 1]
    )
    return line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 3]}..."


def shown(path: YamlPath, written: str) -> str:
    """Return a scalar of the file as an error may show it."""
    if _REFERENCES.fullmatch(written):
        return _escaped(written)
    keys = [step for step in path if isinstance(step, str) and step not in _SOUNDS_SECRET]
    if any(_SECRET_KEY.search(key) for key in keys):
        return "***"
    if any(step in _SECRET_PARTS for step in path[2:]):
        return "***"
    for pattern, replacement in _LOOKS_SECRET:
        written = pattern.sub(replacement, written)
    return _escaped(written) if written else "nothing"


class Findings:
    """Collects problems; a value that has one from reading gets no second one from checking."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._problems = list(document.problems)

    def value(self, path: YamlPath, what: str, expected: str) -> None:
        """Report the value at `path`."""
        if path not in self.document.broken:
            place = self.document.places[path]
            self._add(path, place, what, self.written(path), expected)

    def key(self, path: YamlPath, what: str, expected: str) -> None:
        """Report the key whose value is at `path`."""
        if path not in self.document.broken:
            place = self.document.keys[path]
            self._add(path, place, what, _escaped(place.written or ""), expected)

    def missing(self, path: YamlPath, what: str, expected: str) -> None:
        """Report, at the mapping around it, that there is nothing at `path`."""
        parent = path[:-1]
        if parent not in self.document.broken:
            place = self.document.keys.get(parent) or self.document.places[parent]
            self._add(path, place, what, None, expected)

    def is_written_out(self, path: YamlPath) -> bool:
        """Tell whether the value at `path` stands in the file, and not as a `${NAME}`."""
        written = self.document.places[path].written or ""
        return "${" not in written.replace("$${", "")

    def written(self, path: YamlPath) -> str:
        """Return a value as an error may show it: as it stands in the file, variables by name."""
        place = self.document.places[path]
        if place.written is not None:
            return shown(path, place.written)
        return "a mapping" if place.is_mapping else "a list"

    def position(self, path: YamlPath) -> str:
        """Return path and place of a value, for a problem elsewhere that refers to it."""
        place = self.document.places[path]
        return f"{spelled(path)} at {place.file}:{place.line}:{place.column}"

    def raise_any(self) -> None:
        """Raise what was found, in the order of the files.

        Raises:
            ConfigError: There is at least one problem.
        """
        if self._problems:
            ordered = sorted(self._problems, key=lambda p: (p.file, p.line, p.column, p.path))
            raise ConfigError(ordered)

    def _add(self, path: YamlPath, place: Place, what: str, got: str | None, expected: str) -> None:
        name, line, column = place.file, place.line, place.column
        self._problems.append(Problem(name, line, column, spelled(path), what, got, expected))
