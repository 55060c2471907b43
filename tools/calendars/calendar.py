"""What every calendar that is kept elsewhere can do."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from thirdring.store.agenda import Span, Timed

__all__ = ["Calendar", "Entry", "entry_id"]


@dataclass(frozen=True)
class Entry:
    """What is to stand in a calendar.

    Attributes:
        id: Of `entry_id`.
        starts_at: Aware, as is `ends_at`.
        notes: More about it, in plain text.
    """

    id: str
    title: str
    starts_at: datetime
    ends_at: datetime
    notes: str = ""


class Calendar(Protocol):
    """One calendar; whatever goes wrong with it is a `CalendarError`."""

    async def busy(self, span: Timed) -> list[Span]:
        """Return the times within a span at which its owner is not free; they may overlap."""
        ...

    async def add(self, entry: Entry) -> None:
        """Add an entry; one that is there already, by its id, stays as it is."""
        ...

    async def remove(self, entry_id: str) -> None:
        """Remove an entry; it may not be there."""
        ...


def entry_id(*parts: str) -> str:
    """Return the id of what these say: the same for the same parts, so that no retry doubles it.

    Only letters and digits that every calendar takes (Google: those of base32hex, 5 to 1,024).
    """
    digest = hashlib.sha256("\0".join(parts).encode(errors="replace")).digest()
    return base64.b32hexencode(digest[:20]).decode("ascii").lower()
