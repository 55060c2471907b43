"""The append-only file of one call: written as things happen, durable entry by entry."""

from thirdring.journal.claiming import claim, is_owned, tidy
from thirdring.journal.entries import (
    Answered,
    DigitPressed,
    Elsewhere,
    Ended,
    Entry,
    HandedOver,
    LatencyMeasured,
    ModelFault,
    Opened,
    OutcomeNoted,
    ToolBegun,
    ToolUsed,
    TurnSpoken,
    UsageCounted,
    line,
    parse_entry,
)
from thirdring.journal.opening import file_name
from thirdring.journal.quarantine import quarantine
from thirdring.journal.reading import JournalContents, has_ended, parse, read
from thirdring.journal.ringing import Ringing
from thirdring.journal.waking import wake
from thirdring.journal.writer import Writer
from thirdring.journal.writing import Journal

__all__ = [
    "Answered",
    "DigitPressed",
    "Elsewhere",
    "Ended",
    "Entry",
    "HandedOver",
    "Journal",
    "JournalContents",
    "LatencyMeasured",
    "ModelFault",
    "Opened",
    "OutcomeNoted",
    "Ringing",
    "ToolBegun",
    "ToolUsed",
    "TurnSpoken",
    "UsageCounted",
    "Writer",
    "claim",
    "file_name",
    "has_ended",
    "is_owned",
    "line",
    "parse",
    "parse_entry",
    "quarantine",
    "read",
    "tidy",
    "wake",
]
