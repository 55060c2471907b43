"""The append-only file of one call: written as things happen, durable entry by entry."""

from thirdring.journal.entries import (
    Answered,
    DigitPressed,
    Ended,
    Entry,
    LatencyMeasured,
    ModelFault,
    Opened,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
    parse_entry,
)
from thirdring.journal.reading import JournalContents, has_ended, is_owned, read
from thirdring.journal.writing import Journal, file_name

__all__ = [
    "Answered",
    "DigitPressed",
    "Ended",
    "Entry",
    "Journal",
    "JournalContents",
    "LatencyMeasured",
    "ModelFault",
    "Opened",
    "ToolUsed",
    "TurnSpoken",
    "UsageCounted",
    "file_name",
    "has_ended",
    "is_owned",
    "parse_entry",
    "read",
]
