"""The lines of a journal: one entry per thing that happened."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from thirdring.calls import Ending, Latency, Leg, ToolUse, Turn, Usage

__all__ = [
    "Answered",
    "DigitPressed",
    "Ended",
    "Entry",
    "LatencyMeasured",
    "ModelFault",
    "Opened",
    "ToolUsed",
    "TurnSpoken",
    "UsageCounted",
    "parse_entry",
]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    at: AwareDatetime


class Opened(_Entry):
    """The first entry of every journal; names all that a record needs if nothing follows."""

    kind: Literal["opened"] = "opened"
    version: Literal[1] = 1
    leg: Leg
    business: str | None
    line: str | None
    workflow: str | None
    model: str | None
    room: str
    job: str


class Answered(_Entry):
    kind: Literal["answered"] = "answered"


class TurnSpoken(_Entry):
    kind: Literal["turn"] = "turn"
    turn: Turn


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


class Ended(_Entry):
    """The last entry of a journal whose job lived to write it."""

    kind: Literal["ended"] = "ended"
    ending: Ending


Entry = Annotated[
    Opened
    | Answered
    | TurnSpoken
    | ToolUsed
    | DigitPressed
    | LatencyMeasured
    | UsageCounted
    | ModelFault
    | Ended,
    Field(discriminator="kind"),
]

_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


def parse_entry(line: bytes | str) -> Entry:
    """Return the entry that one line holds.

    Raises:
        pydantic.ValidationError: The line is not an entry.
    """
    return _ENTRY.validate_json(line)
