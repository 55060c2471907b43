"""A YAML file as plain data that remembers where every value stands and how it was written.

PyYAML's own loaders keep no positions, let a later duplicate key win, read `no` as False and a
phone number as an integer. Here all of that is a `Problem` with its place, or a value that no
schema takes for a string or a number.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import yaml
from yaml.reader import Reader

from thirdring.errors import ConfigError, Problem

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_VALUES",
    "Document",
    "Place",
    "Unclear",
    "YamlPath",
    "spelled",
]

MAX_BYTES: Final = 4 * 1024 * 1024
"""About 5,000 businesses; a larger file is a mistake or an attack."""

MAX_DEPTH: Final = 32
"""PyYAML's C code calls itself for each level: 200 kB of `- - - -` would end the process."""

MAX_VALUES: Final = 400_000
"""Keys and values, each alias counted with all that it stands for: what an alias bomb runs into."""

if TYPE_CHECKING:
    _Loader = yaml.SafeLoader
else:
    _Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TAG_PREFIX: Final = "tag:yaml.org,2002:"
_PLAIN_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_PLAIN_FLOAT: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_WORDS: Final[dict[str, bool | None]] = {
    "true": True,
    "false": False,
    "null": None,
    "~": None,
    "": None,
}
_MAY_HAVE_TAGS: Final = re.compile(r"(?:^|[\s\[\]{},:])!")

YamlPath = tuple[str | int, ...]
"""Keys and indexes from the top of the document, as in `("businesses", "clinic", "lines", 0)`."""


class Place(NamedTuple):
    """Where a value or a key stands; a tuple, for there are as many as keys and values.

    Attributes:
        line: From 1.
        column: From 1.
        written: A scalar as it stands in the file; None for a mapping or a list.
        file: As the user named it.
    """

    line: int
    column: int
    written: str | None = None
    is_mapping: bool = False
    file: str = ""


@dataclass(frozen=True, slots=True)
class Unclear:
    """A scalar that YAML 1.1 reads as something else than it looks like: `no`, `012`, `1_000`.

    It is neither a string nor a number, so that every schema refuses it.
    """

    written: str


@dataclass
class Document:
    """The data of one file.

    Attributes:
        data: Mappings, lists, strings, numbers, booleans, None and `Unclear`.
        places: Of every value; the empty path is the document itself.
        keys: Of every key, under the path of its value.
        broken: Values that have a problem already; their data means nothing.
        problems: What was wrong, in no particular order.
        incomplete: Whether a part of it could not be read at all.
    """

    file: str
    data: object = None
    places: dict[YamlPath, Place] = field(default_factory=dict)
    keys: dict[YamlPath, Place] = field(default_factory=dict)
    broken: set[YamlPath] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    incomplete: bool = False

    @classmethod
    def read(cls, path: Path, *, expected: str) -> Document:
        """Read the file at `path`.

        Args:
            expected: What should stand in it, for who finds it empty.

        Raises:
            ConfigError: It cannot be read, or is not YAML at all.
        """
        return _Reader(str(path), expected).read(_bytes_of(path))

    def nearest(self, path: YamlPath) -> Place:
        """Return where the deepest value on this path stands that there is."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


def spelled(path: YamlPath) -> str:
    """Return a path as people write it: `businesses.clinic.lines[0].number`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_][\w-]{0,63}", step, re.ASCII):
            text += f".{step}" if text else step
        else:
            text += f"[{_short(step)!a}]"
    return text or "document"


def _short(text: str) -> str:
    return text if len(text) <= 64 else f"{text[:61]}..."


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        what = f"cannot be read ({error.strerror or type(error).__name__})"
        raise _failure(str(path), 1, 1, what, "a readable YAML file") from None
    if len(source) > MAX_BYTES:
        raise _failure(str(path), 1, 1, "is too large", f"at most {MAX_BYTES} bytes")
    return source


def _failure(file: str, line: int, column: int, what: str, expected: str) -> ConfigError:
    return ConfigError([Problem(file, line, column, "document", what, None, expected)])


class _Suspicious(Exception):
    """A text may be too deep, or have too many values."""


class _Composer(_Loader):
    """Stops before a text takes too much stack or memory.

    It has what PyYAML calls for each node: that of a mapping's own, and of no alias.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._nodes = 0
        self._tags: dict[str | None, str] = {}

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        self._depth += 1
        self._nodes += 1
        if self._depth > MAX_DEPTH or self._nodes > MAX_VALUES:
            raise _Suspicious

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: object) -> str:
        """Return the tag of a node; most plain scalars are keys, which come again and again."""
        tag = self._tags.get(value) if implicit == (True, False) else None
        if tag is None:
            tag = str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]
            if implicit == (True, False):
                self._tags[value] = tag
        return tag


class _Reader:
    """One pass over one file."""

    def __init__(self, file: str, expected: str) -> None:
        self._document = Document(file)
        self._expected = expected
        self._visited = 0
        self._tags: dict[tuple[int, int, bool], str] = {}

    def read(self, source: bytes) -> Document:
        text = self._text(source)
        try:
            root = self._composed(text)
        except yaml.MarkedYAMLError as error:  # the others are about bytes, checked by `_text`
            raise self._syntax_failure(text, error) from None
        if root is None:
            raise self._failure_at(0, 0, "is empty", self._expected)
        self._tags = _tags_in(text)
        self._document.data = self._value(root, ())
        return self._document

    def _failure_at(self, line: int, column: int, what: str, expected: str) -> ConfigError:
        return _failure(self._document.file, line + 1, column + 1, what, expected)

    def _text(self, source: bytes) -> str:
        try:
            text = source.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = source[: error.start].decode("utf-8", "replace")
            line, column = _end_of(before)
            raise self._failure_at(line, column, "is not UTF-8", "text saved as UTF-8") from None
        unprintable = Reader.NON_PRINTABLE.search(text)
        if unprintable:
            line, column = _end_of(text[: unprintable.start()])
            what = f"has the control character U+{ord(unprintable[0]):04X}"
            raise self._failure_at(line, column, what, "printable text")
        return text

    def _composed(self, text: str) -> yaml.Node | None:
        try:
            return yaml.compose(text, _Composer)
        except (_Suspicious, yaml.MarkedYAMLError):
            self._check_events(text)
            return yaml.compose(text, _Loader)

    def _check_events(self, text: str) -> None:
        """Refuse what would take too much stack or memory, or is no single document."""
        depth = count = documents = 0
        for event in yaml.parse(text, _Loader):
            mark = event.start_mark
            assert mark is not None
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
            count += isinstance(event, yaml.NodeEvent)
            if depth > MAX_DEPTH:
                raise self._too_deep(mark.line, mark.column)
            if count > MAX_VALUES:
                raise self._too_many(mark.line, mark.column)
            if documents > 1:
                expected = "one document: remove the `---`"
                raise self._failure_at(mark.line, mark.column, "a second document", expected)

    def _too_deep(self, line: int, column: int) -> ConfigError:
        expected = f"at most {MAX_DEPTH} levels"
        return self._failure_at(line, column, "is nested too deeply", expected)

    def _too_many(self, line: int, column: int) -> ConfigError:
        expected = f"at most {MAX_VALUES} keys and values with all aliases expanded"
        return self._failure_at(line, column, "has too many values", expected)

    def _syntax_failure(self, text: str, error: yaml.MarkedYAMLError) -> ConfigError:
        mark = error.problem_mark or error.context_mark
        lines = text.split("\n")
        line, column = (mark.line, mark.column) if mark else (0, 0)
        if line >= len(lines):  # libyaml ends the last line itself where the file does not
            line, column = len(lines) - 1, len(lines[-1])
        what = f"is not YAML ({error.problem or error.context or 'unreadable'})"
        at_tab = lines[line][column : column + 1] == "\t"
        expected = "spaces: YAML takes no tabs here" if at_tab else "valid YAML"
        return self._failure_at(line, column, what, expected)

    def _report(self, path: YamlPath, mark: yaml.Mark, what: str, expected: str) -> None:
        self._document.problems.append(
            Problem(
                file=self._document.file,
                line=mark.line + 1,
                column=mark.column + 1,
                path=spelled(path),
                what=what,
                got=None,
                expected=expected,
            )
        )

    def _value(self, node: yaml.Node, path: YamlPath) -> object:
        mark = node.start_mark
        self._visited += 1
        if self._visited > MAX_VALUES:
            raise self._too_many(mark.line, mark.column)
        if len(path) > MAX_DEPTH:
            raise self._too_deep(mark.line, mark.column)
        written = node.value if isinstance(node, yaml.ScalarNode) else None
        is_mapping = isinstance(node, yaml.MappingNode)
        file = self._document.file
        self._document.places[path] = Place(
            mark.line + 1, mark.column + 1, written, is_mapping, file
        )
        tag = self._tag(node)
        if tag is not None:
            self._report(path, mark, f"has the tag {tag!a}", "a plain value without a tag")
            self._document.broken.add(path)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return _scalar(node)

    def _tag(self, node: yaml.Node) -> str | None:
        """Return the tag that is written out at a node."""
        if not self._tags:
            return None
        mark, is_scalar = node.start_mark, isinstance(node, yaml.ScalarNode)
        return self._tags.get((mark.line, mark.column, is_scalar))

    def _mapping(self, node: yaml.MappingNode, path: YamlPath) -> dict[Hashable, object]:
        data: dict[Hashable, object] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            key = self._key(key_node, path)
            if key is None:
                continue
            place = (*path, key)
            if key in data:
                first = self._document.keys[place]
                what = f"duplicate key, first on line {first.line}"
                self._report(place, mark, what, "each key once")
                continue
            line, column, file = mark.line + 1, mark.column + 1, self._document.file
            self._document.keys[place] = Place(line, column, key, file=file)
            data[key] = self._value(value_node, place)
        return data

    def _key(self, node: yaml.Node, path: YamlPath) -> str | None:
        """Return a key; one that is no string is reported, and read as if it stood in quotes."""
        self._visited += 1
        key = str(node.value) if isinstance(node, yaml.ScalarNode) else None
        tag = self._tag(node)
        if node.tag == _TAG_PREFIX + "str" and tag is None:
            return key
        if key is None:
            what, expected = "has a key that is a mapping or a list", "a string"
        elif tag is not None:
            what, expected = f"has a key with the tag {tag!a}", "the key without a tag"
            self._document.broken.add((*path, key))
        elif node.tag == _TAG_PREFIX + "merge":
            what, expected, key = "has a merge key (`<<`)", "the keys written out", None
        else:
            what, expected = f"has the key {_short(key)!a}, which is no string", "the key in quotes"
            self._document.broken.add((*path, key))
        self._report(path, node.start_mark, what, expected)
        return key


def _tags_in(text: str) -> dict[tuple[int, int, bool], str]:
    """Return the tags that are written out, by place, and whether a scalar has them.

    To a node they are as those that YAML finds by itself: `!!int "30"` is the same as `30`. A
    mapping begins where its first key does.
    """
    found = {}
    if _MAY_HAVE_TAGS.search(text):
        for event in yaml.parse(text, _Loader):
            tag, mark = getattr(event, "tag", None), event.start_mark
            if tag is not None and mark is not None:
                is_scalar = isinstance(event, yaml.ScalarEvent)
                found[mark.line, mark.column, is_scalar] = _short(tag.replace(_TAG_PREFIX, "!!"))
    return found


def _end_of(text: str) -> tuple[int, int]:
    """Return line and column, from 0, of what follows `text`."""
    return text.count("\n"), len(text) - (text.rfind("\n") + 1)


def _scalar(node: yaml.ScalarNode) -> object:
    written: str = node.value
    if node.tag == _TAG_PREFIX + "str":
        return written
    if written in _WORDS:
        return _WORDS[written]
    if _PLAIN_INTEGER.fullmatch(written):
        return int(written)
    if _PLAIN_FLOAT.fullmatch(written):
        return float(written)
    return Unclear(written)
