"""What of a journal cannot be read is kept beside it, for people to look at."""

from __future__ import annotations

from pathlib import Path

from thirdring.journal.durable import sync_data
from thirdring.journal.reading import JournalContents

__all__ = ["quarantine"]


def quarantine(contents: JournalContents, archived: Path) -> Path | None:
    """Keep the damaged lines of a journal as `<archived>.quarantine`; durable when this returns.

    Args:
        contents: As read from the journal.
        archived: Where the journal itself is, or is about to be.

    Returns:
        The file; None when nothing is damaged.

    Raises:
        OSError: It cannot be written.
    """
    if not contents.damaged:
        return None
    path = archived.with_name(f"{archived.name}.quarantine")
    with path.open("wb") as file:
        file.write(b"\n".join(contents.damaged) + b"\n")
        file.flush()
        sync_data(file.fileno())
    path.chmod(0o600)
    return path
