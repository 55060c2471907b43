"""What every store offers, whichever database is behind it.

The same SQL goes to each: `?` for parameters, times as the text of `to_text`. What the back ends do
not share is behind `Connection.lock` and `Connection.skip_locked`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

__all__ = ["Connection", "Cursor", "Row", "Store", "from_text", "to_text"]

T = TypeVar("T")

Row = Mapping[str, Any]
"""A row by the names of its columns."""


class Cursor(Protocol):
    """What a statement has found or done."""

    @property
    def rowcount(self) -> int: ...

    def fetchone(self) -> Row | None: ...

    def fetchall(self) -> list[Row]: ...

    def __iter__(self) -> Iterator[Row]: ...


class Connection(Protocol):
    """The database within one transaction.

    Attributes:
        skip_locked: The words that end a SELECT whose rows are to be ours alone; none where
            whoever writes is alone anyway.
    """

    @property
    def skip_locked(self) -> str: ...

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor:
        """Run one statement; its literals contain no `?`."""
        ...

    def executemany(self, sql: str, parameters: Sequence[Sequence[object]]) -> None:
        """Run one statement with each of many rows of parameters."""
        ...

    def lock(self, name: str) -> None:
        """Let no other transaction past its own `lock` of this name before this one has ended."""
        ...


class Store(Protocol):
    """A database that is connected to on first use, and again after a loss.

    Whatever goes wrong with it is a `StoreError`. Nobody waits longer than a few seconds for it
    (`thirdring.store.threaded`), so that whoever talks on the phone can say something; operators,
    who may ask for everything at once, wait longer.
    """

    async def connect(self) -> None:
        """Connect now, and bring the tables up to date, to learn at once of what is wrong.

        Raises:
            StoreError: It is newer than this program, no such database, or cannot be reached.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` finds; all that it sees is of one moment.

        Raises:
            StoreError: The store cannot be used.
        """
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction: all of it is durable, or nothing has happened.

        A cancelled caller does not stop it, and `work` may be run again from the start: what
        writes must bear both.

        Raises:
            StoreError: The store cannot be used.
        """
        ...

    async def close(self) -> None:
        """Let go of the connection; may be called again."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def to_text(moment: datetime) -> str:
    """Return a time as it stands in the tables: UTC, sorted like the times themselves."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Return the time that `to_text` wrote."""
    return datetime.fromisoformat(text)
