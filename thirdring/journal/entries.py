"""The lines of a journal: one entry per thing that happened.

A line is the CRC-32 of the JSON (RFC 1952 section 8, eight lower hex digits), a space, the JSON and
a line feed. Lines of version 1 are the JSON alone; they are read as ever.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal
from zlib import crc32

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter
from pydantic_core import PydanticSerializationError

from thirdring.calls import Ending, Latency, Leg, Summary, ToolUse, Turn, Usage
from thirdring.journal.writer import Writer

__all__ = [
    "Answered",
    "DigitPressed",
    "Elsewhere",
    "Ended",
    "Entry",
    "HandedOver",
    "LatencyMeasured",
    "ModelFault",
    "Opened",
    "OutcomeNoted",
    "ToolBegun",
    "ToolUsed",
    "TurnSpoken",
    "UsageCounted",
    "line",
    "parse_entry",
]


class _Entry(BaseModel):
    """One thing that happened.

    Attributes:
        at: By the wall clock.
        offset: Seconds since the call was opened, by a clock that is never set; None in journals
            of version 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime
    offset: float | None = None


class Opened(_Entry):
    """The first entry of every journal; names all that a record needs if nothing follows.

    Attributes:
        monotonic: What the monotonic clock said then, in seconds.
        boot: During which run of the kernel; another one's monotonic clock says nothing here.
        writer: Who opened it.
    """

    kind: Literal["opened"] = "opened"
    version: Literal[1, 2] = 2
    monotonic: float | None = None
    boot: str | None = None
    writer: Writer | None = None
    leg: Leg
    business: str | None
    line: str | None
    workflow: str | None
    model: str | None
    room: str
    job: str


class HandedOver(_Entry):
    """A job has taken the journal that was opened when the phone began to ring.

    What it says of the call counts, not what was known before.
    """

    kind: Literal["handed_over"] = "handed_over"
    business: str | None
    line: str | None
    workflow: str | None
    model: str | None
    room: str
    job: str
    writer: Writer


class Elsewhere(_Entry):
    """The job keeps the call's journal on another machine, where the record comes from."""

    kind: Literal["elsewhere"] = "elsewhere"


class Answered(_Entry):
    kind: Literal["answered"] = "answered"


class TurnSpoken(_Entry):
    kind: Literal["turn"] = "turn"
    turn: Turn


class ToolBegun(_Entry):
    """A tool runs; `ToolUsed` of the same id follows when it has ended."""

    kind: Literal["tool_begun"] = "tool_begun"
    use: ToolUse


class ToolUsed(_Entry):
    kind: Literal["tool"] = "tool"
    use: ToolUse


class DigitPressed(_Entry):
    kind: Literal["digit"] = "digit"
    digit: str = Field(pattern=r"^[0-9A-D*#]$")


class LatencyMeasured(_Entry):
    kind: Literal["latency"] = "latency"
    latency: Latency


class UsageCounted(_Entry):
    """The running total of one model; the last entry per model counts."""

    kind: Literal["usage"] = "usage"
    usage: Usage


class ModelFault(_Entry):
    kind: Literal["fault"] = "fault"
    source: str
    message: str
    recoverable: bool


class OutcomeNoted(_Entry):
    """What the call leaves behind, as far as it is known; the last entry counts.

    Attributes:
        missing: Fields that the workflow needs and that say nothing yet.
        summary: The same in words.
    """

    kind: Literal["outcome"] = "outcome"
    outcome: dict[str, JsonValue]
    missing: tuple[str, ...] = ()
    summary: Summary | None = None


class Ended(_Entry):
    """The last entry of a journal whose job lived to write it."""

    kind: Literal["ended"] = "ended"
    ending: Ending


Entry = Annotated[
    Opened
    | HandedOver
    | Elsewhere
    | Answered
    | TurnSpoken
    | ToolBegun
    | ToolUsed
    | DigitPressed
    | LatencyMeasured
    | UsageCounted
    | ModelFault
    | OutcomeNoted
    | Ended,
    Field(discriminator="kind"),
]

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


def line(entry: Entry) -> bytes:
    """Return the line that holds `entry`, with its checksum and its line feed."""
    try:
        text = entry.model_dump_json()
    except PydanticSerializationError:
        # Half a surrogate pair, as a model's JSON can hold, has no UTF-8 form.
        text = json.dumps(entry.model_dump(mode="json"), ensure_ascii=False)
    data = text.encode(errors="replace")
    return b"%08x %s\n" % (crc32(data), data)


def parse_entry(line: bytes | str) -> Entry:
    """Return the entry that one line holds, with or without its line feed.

    Raises:
        ValueError: The line is no entry, or not the one that was written.
    """
    data = (line.encode() if isinstance(line, str) else line).removesuffix(b"\n")
    if data.startswith(b"{"):
        return _ENTRY.validate_json(data)
    text = data[9:]
    if data[:9] != b"%08x " % crc32(text):
        raise ValueError("the checksum is wrong")
    return _ENTRY.validate_json(text)
