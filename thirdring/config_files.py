"""`thirdring.yaml`, or a folder with several such files: one document either way.

A file of a folder says of some businesses everything. What is not about businesses (`gateway`,
`worker`, `trunks`, `default_line`, `allowed_receivers`) stands in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from thirdring.config_findings import shown
from thirdring.errors import ConfigError, Problem
from thirdring.yaml_document import MAX_BYTES, MAX_VALUES, Document, Place, YamlPath, spelled

__all__ = ["Stamp", "files_of", "read", "stamp"]

_ENDINGS: Final = (".yaml", ".yml")
_VERSION: Final = 1

Stamp = tuple[tuple[str, int, int, int, int], ...]
"""What changes when a configuration does: name, number, size and two times of each file."""


def files_of(path: Path) -> list[Path]:
    """Return the files that a configuration consists of, by name; hidden ones are no part of it.

    Raises:
        OSError: The folder cannot be read.
    """
    if not path.is_dir():
        return [path]
    named = (one for one in path.iterdir() if one.suffix in _ENDINGS and one.name[0] != ".")
    return sorted(one for one in named if not one.is_dir())


def stamp(path: Path) -> Stamp:
    """Return what tells a configuration from what it was before; cheap, nothing is read."""
    try:
        files = files_of(path)
    except OSError:
        return ()
    # The folder itself: a file that an editor puts in another's place is missing for a moment.
    return tuple(_stamps(files if files == [path] else [path, *files]))


def _stamps(files: list[Path]) -> Iterator[tuple[str, int, int, int, int]]:
    for file in files:
        try:
            now = file.stat()
        except OSError:
            yield file.name, 0, 0, 0, 0
        else:
            yield file.name, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns


def read(path: Path, *, expected: str) -> Document:
    """Read a configuration.

    Args:
        path: A file or a folder.
        expected: What should stand in it, for who finds it empty.

    Raises:
        ConfigError: None of it can be read.
    """
    try:
        files = files_of(path)
    except OSError as error:
        what = f"cannot be read ({error.strerror or type(error).__name__})"
        raise _failure(path, what, "a folder that this user may read") from None
    if files == [path]:
        return Document.read(path, expected=expected)
    if not files:
        raise _failure(path, "has no *.yaml in it", f"a file with {expected}")
    return _Folder(path).read(files, expected)


def _failure(path: Path, what: str, expected: str) -> ConfigError:
    return ConfigError([Problem(str(path), 0, 0, "folder", what, None, expected)])


class _Folder:
    """Puts the documents of several files together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._businesses: dict[str, object] = {}
        self._data: dict[str, object] = {"version": _VERSION}
        self._whole = Document(str(path), data=self._data)

    def read(self, files: list[Path], expected: str) -> Document:
        size = sum(one[2] for one in _stamps(files))
        if size > MAX_BYTES:
            raise _failure(self._path, "is too large", f"at most {MAX_BYTES} bytes in all files")
        unread: list[Problem] = []
        for file in files:
            try:
                document = Document.read(file, expected=expected)
            except ConfigError as error:
                unread += error.problems
                continue
            self._take_in(document)
            if len(self._whole.places) > MAX_VALUES:
                most = f"at most {MAX_VALUES} keys and values in all files"
                raise _failure(self._path, "has too many values", most)
        self._whole.problems += unread
        self._whole.incomplete = bool(unread)
        if unread and not self._businesses:
            raise ConfigError(self._whole.problems)
        return self._whole

    def _take_in(self, document: Document) -> None:
        whole, data = self._whole, document.data
        whole.problems += document.problems
        whole.places.setdefault((), document.places[()])
        if not isinstance(data, dict):
            self._report(document.places[()], (), "is not a mapping", "keys with values")
            return
        self._check_version(document)
        taken = {key for key in data if key not in ("version", "businesses")}
        for key in sorted(taken & self._data.keys()):
            self._report_again((key,), document, "one file with this key")
            taken.discard(key)
        self._data.update({key: data[key] for key in taken})
        slugs = self._take_businesses(document, data) if "businesses" in data else set()
        for path, place in document.places.items():
            if path[:1] and (
                path[0] in taken or (path[0] == "businesses" and slugs & {*path[1:2]})
            ):
                whole.places[path] = place
                if path in document.keys:
                    whole.keys[path] = document.keys[path]
        whole.broken |= {path for path in document.broken if path in whole.places}

    def _take_businesses(self, document: Document, data: dict[str, object]) -> set[str]:
        """Return the businesses that no earlier file has."""
        path: YamlPath = ("businesses",)
        found = data["businesses"]
        if not isinstance(found, dict):
            self._report(document.places[path], path, "is not a mapping", "keys with values")
            return set()
        self._whole.places.setdefault(path, document.places[path])
        self._whole.keys.setdefault(path, document.keys[path])
        self._data["businesses"] = self._businesses
        again = found.keys() & self._businesses.keys()
        for slug in sorted(again):
            self._report_again((*path, slug), document, "each business once")
        new = found.keys() - again
        self._businesses.update({slug: found[slug] for slug in found if slug in new})
        return set(new)

    def _check_version(self, document: Document) -> None:
        path: YamlPath = ("version",)
        root = document.places[()]
        self._whole.places.setdefault(path, document.places.get(path, root))
        data = document.data
        assert isinstance(data, dict)
        if "version" not in data:
            self._report(root, path, "is missing", "the key `version`")
        elif path not in document.broken and _is_other(data["version"]):
            self._report(document.places[path], path, "is not supported", str(_VERSION))

    def _report_again(self, path: YamlPath, document: Document, expected: str) -> None:
        first = self._whole.keys[path]
        what = f"is there already, at {first.file}:{first.line}:{first.column}"
        self._report(document.keys[path], path, what, expected)

    def _report(self, place: Place, path: YamlPath, what: str, expected: str) -> None:
        got = None if place.written is None else shown(path, place.written)
        self._whole.problems.append(
            Problem(place.file, place.line, place.column, spelled(path), what, got, expected)
        )


def _is_other(version: object) -> bool:
    return isinstance(version, bool) or version != _VERSION
