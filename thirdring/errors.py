"""Why a start, a call, a tool or a delivery fails.

PhoneError
├── ConfigError          a file or a variable is wrong; carries every problem found
├── WrongUse             the arguments of a command make no sense
├── DiskFull             there is no room to write
├── UnknownFact          a text has a placeholder for which there is no value
├── PartError            a local program did not start, or died
├── CallError
│   ├── LegError         participant or metadata cannot be understood; carries the field
│   ├── LineNotFound     no line has the number that was dialled
│   └── CallTaken        another job has this call's journal already
├── ToolRefused          a rule said no; the model hears the reason
├── EgressRefused        a URL leads where nothing may be sent; carries the way out
├── JournalError         a journal cannot be read
├── StoreError           the store is down, locked, damaged or of another version
├── CalendarError        a calendar that is kept elsewhere cannot be used
└── DeliveryError        the record has not reached its webhook
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

__all__ = [
    "CalendarError",
    "CallError",
    "CallTaken",
    "ConfigError",
    "DeliveryError",
    "DiskFull",
    "EgressRefused",
    "JournalError",
    "LegError",
    "LineNotFound",
    "PartError",
    "PhoneError",
    "Problem",
    "StoreError",
    "ToolRefused",
    "UnknownFact",
    "WrongUse",
]


class PhoneError(Exception):
    """Anything that Thirdring itself reports; its text is meant for people."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file.

    Attributes:
        file: The file as the user named it.
        line: From 1; 0 where there are no lines, as in the environment.
        column: From 1.
        path: Where in the document, as in `businesses.clinic.lines[0].number`.
        what: What is wrong.
        got: The offending value, shortened and without secrets; None when there is none.
        expected: What would be right.
    """

    file: str
    line: int
    column: int
    path: str
    what: str
    got: str | None
    expected: str

    @property
    def place(self) -> str:
        """Where it is, as editors and terminals understand it."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        got = "" if self.got is None else f", got {self.got}"
        return f"{self.place} {self.path}: {self.what}{got}; expected {self.expected}"


class ConfigError(PhoneError):
    """The configuration is wrong; nothing starts.

    Its text has a line for each problem; one that comes again is told once, with all its places.

    Attributes:
        problems: All of them, in the order of the file.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(_told(self.problems)))


def _told(problems: Sequence[Problem]) -> Iterator[str]:
    alike: dict[Hashable, list[Problem]] = {}
    for problem in problems:
        # Without lines, as in the environment, the path alone tells one from another.
        which = problem.path.rpartition(".")[2] if problem.line else problem.path
        key = (which, problem.what, problem.got, problem.expected)
        alike.setdefault(key, []).append(problem)
    for first, *others in alike.values():
        yield str(first)
        if others:
            yield f"  also at {', '.join(other.place for other in others)}"


class WrongUse(PhoneError):
    """The arguments of a command make no sense; nothing has been done."""


class DiskFull(PhoneError):
    """There is no room to write."""


class UnknownFact(PhoneError):
    """A text has a placeholder for which there is no value.

    Attributes:
        name: What stands between the braces.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"the text uses {{{{ {name} }}}}, which is no known fact: "
            "add it to the facts of the business, or mend the name"
        )


class PartError(PhoneError):
    """A local program did not start, or died."""


class CallError(PhoneError):
    """One call cannot go on as planned."""


class LegError(CallError):
    """A participant or the metadata of a call cannot be understood.

    Attributes:
        field: Which field, as in `metadata.line`.
    """

    def __init__(self, field: str, what: str) -> None:
        self.field = field
        super().__init__(f"{field}: {what}")


class LineNotFound(CallError):
    """No line has the number that was dialled.

    Attributes:
        field: Which field named it.
    """

    def __init__(self, field: str, number: str | None) -> None:
        self.field = field
        self.number = number
        super().__init__(f"{field}: no line has the number {number or '(none)'}")


class CallTaken(CallError):
    """Another job has opened the journal of this call."""


class ToolRefused(PhoneError):
    """A rule said no; the message is what the model hears."""


class EgressRefused(PhoneError):
    """A URL leads where nothing may be sent.

    Attributes:
        what: What is wrong, without any part of the URL, which may be a secret.
        expected: What would be right.
    """

    def __init__(self, what: str, expected: str) -> None:
        self.what = what
        self.expected = expected
        super().__init__(f"{what}; expected {expected}")


class JournalError(PhoneError):
    """A journal cannot be read."""


class StoreError(PhoneError):
    """The store is down, locked, damaged, or of another version."""


class CalendarError(PhoneError):
    """A calendar that is kept elsewhere cannot be used."""


class DeliveryError(PhoneError):
    """The record has not reached its webhook."""
