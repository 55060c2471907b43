"""`scenarios.yaml`: simulated callers of a workflow, and what must be true after their calls.

The keys are those of LiveKit's simulations (docs.livekit.io/agents/start/testing/simulations): one
model plays the caller by `instructions`, another judges by `agent_expectations`. What a run without
any model needs stands in `userdata`: the caller's lines, the business that they call, and
expectations that can be checked. `local.simulate` plays them; docs/simulate.md explains every key.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)

from local.documents import read_model
from thirdring.calls import PhoneNumber
from thirdring.metadata import Metadata

__all__ = [
    "Booking",
    "Busy",
    "Callback",
    "Errand",
    "Event",
    "Expected",
    "ExpectedAnswer",
    "ExpectedOutcome",
    "FinalState",
    "Keys",
    "Message",
    "Notification",
    "Row",
    "Scenario",
    "Scenarios",
    "Taken",
    "ToolOutcome",
    "Userdata",
    "load",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolOutcome(_Part):
    """A tool that was used.

    Attributes:
        refused: The model heard an error, not a result.
    """

    name: str
    refused: bool = False


class Row(_Part):
    """Something that a call has left in the store: only the keys that are given are compared.

    A name, a number, a time or a flag must be the same; a text must occur in what is there, upper
    and lower case alike. A key that is `null` must be empty there.
    """


class Booking(Row):
    """An appointment.

    Attributes:
        slot: Its id, as `find_slots` returns it.
    """

    slot: str | None = None
    name: str | None = None
    phone: PhoneNumber | None = None


class Event(Row):
    """An entry of the business's own calendar.

    Attributes:
        starts_at: In the business's time zone when it names none, such as 2026-11-24T14:00.
    """

    title: str | None = None
    starts_at: datetime | None = None
    minutes: int | None = None
    with_name: str | None = None
    with_number: PhoneNumber | None = None


class Message(Row):
    """A message that was taken."""

    body: str | None = None
    for_whom: str | None = None
    from_name: str | None = None
    from_number: PhoneNumber | None = None
    urgent: bool | None = None


class Callback(Row):
    """A call that the caller has asked for.

    Attributes:
        wanted: When, in the caller's words.
        wanted_at: When, as it was understood; as `starts_at` of an event.
    """

    number: PhoneNumber | None = None
    name: str | None = None
    wanted: str | None = None
    wanted_at: datetime | None = None
    reason: str | None = None


class Notification(Row):
    """What staff are told.

    Attributes:
        recipient: The key of a `staff` entry.
    """

    recipient: str | None = None
    title: str | None = None
    body: str | None = None
    urgent: bool | None = None


class Errand(Row):
    """Somebody else whom the call leads us to call.

    Attributes:
        details: Keys that its details must have, with these values.
        result: The same of what came of it.
    """

    kind: str | None = None
    state: str | None = None
    number: PhoneNumber | None = None
    details: dict[str, JsonValue] | None = None
    result: dict[str, JsonValue] | None = None


class ExpectedOutcome(_Part):
    """The typed outcome of the workflow.

    Attributes:
        complete: Whether nothing is missing that the workflow needs; None for either.
        fields: Those that are compared, by name; the others may be anything.
    """

    complete: bool | None = None
    fields: dict[str, JsonValue] = Field(default_factory=dict)


class ExpectedAnswer(_Part):
    """What is said to one of the caller's lines, upper and lower case alike.

    Attributes:
        line: Counted from 1; 0 for the greeting.
        has: Each must occur in the answer.
        lacks: None may.
    """

    line: Annotated[int, Field(ge=0)]
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.has and not self.lacks:
            raise ValueError("expects nothing of the answer")
        return self


class FinalState(_Part):
    """What a call must leave behind, whether it is typed or spoken.

    A list means exactly these, in this order; an empty one that there are none. What is left out
    is not looked at.

    Attributes:
        appointments: All that the call has made, by their time, as are the following.
    """

    appointments: tuple[Booking, ...] | None = None
    events: tuple[Event, ...] | None = None
    messages: tuple[Message, ...] | None = None
    callbacks: tuple[Callback, ...] | None = None
    notifications: tuple[Notification, ...] | None = None
    errands: tuple[Errand, ...] | None = None
    outcome: ExpectedOutcome | None = None


class Expected(FinalState):
    """What must be true after the call of a scenario.

    Attributes:
        tools: All that were used, in this order.
        ended: Whether the agent has hung up, its work done.
        memory: All that is known of the caller afterwards, sorted; each must occur in a fact.
        opted_out: Whether the caller wants nothing to be remembered.
        errand: What has become of the errand that the call was made for.
        answers: Words; a check of the script rather than of the workflow.
    """

    tools: tuple[ToolOutcome, ...]
    ended: bool
    memory: tuple[str, ...] | None = None
    opted_out: bool | None = None
    errand: Errand | None = None
    answers: tuple[ExpectedAnswer, ...] = ()


def _of_our_time(moment: datetime) -> datetime:
    # A week before and a year after it are asked for, which the first and the last year lack.
    if not 1970 <= moment.year < 3000:
        raise ValueError(f"has a year from 1970 to 2999, got {moment.year}")
    return moment


def _slot(text: str) -> str:
    try:
        begins = datetime.strptime(text, "s_%Y%m%d_%H%M")  # noqa: DTZ007 - of the business's time zone
    except ValueError:
        raise ValueError("is no slot such as s_20261124_0900") from None
    _of_our_time(begins)
    return text


class Taken(_Part):
    """A slot that somebody else books.

    Attributes:
        after_line: Of the caller, counted from 1; 0 for before the call.
    """

    slot: Annotated[str, AfterValidator(_slot)]
    after_line: Annotated[int, Field(ge=0)] = 0


class Busy(_Part):
    """A time at which the business's own calendar has something already.

    Attributes:
        starts_at: In the business's time zone when it names none.
    """

    title: str = "Busy"
    starts_at: Annotated[datetime, AfterValidator(_of_our_time)]
    minutes: Annotated[int, Field(ge=1, le=366 * 24 * 60)] = 60
    after_line: Annotated[int, Field(ge=0)] = 0


class Keys(_Part):
    """The caller presses keys instead of speaking."""

    keys: Annotated[str, Field(pattern=r"^[0-9*#A-D]+$")]


class Userdata(_Part):
    """One call without any model.

    Attributes:
        now: When it takes place.
        caller: Their number; None when hidden.
        says: The caller's lines; each waits for the answer to the one before.
        metadata: What a dispatch says of the call (docs/worker.md).
        errand: What the call is made for: details of an errand of the workflow; the far end's
            number is `caller`.
        remembered: Facts about the caller from an earlier call.
        opted_out: The caller once wanted nothing to be remembered.
        business: Keys of a business in `thirdring.yaml`, in the place of those of a clinic that is
            open Monday to Friday, 9 to 5; `facts` are added to the clinic's.
        line: Keys of a line, such as `greeting`, `agent_name` or `tools`.
    """

    now: Annotated[AwareDatetime, AfterValidator(_of_our_time)]
    caller: PhoneNumber | None
    says: Annotated[tuple[str | Keys, ...], Field(min_length=1)]
    metadata: Metadata = Metadata()
    errand: dict[str, JsonValue] | None = None
    remembered: tuple[str, ...] = ()
    opted_out: bool = False
    taken: tuple[Taken, ...] = ()
    busy: tuple[Busy, ...] = ()
    business: dict[str, Any] = Field(default_factory=dict)
    line: dict[str, Any] = Field(default_factory=dict)
    expect: Expected

    @model_validator(mode="after")
    def _somebody_is_remembered(self) -> Self:
        if self.caller is None and (self.remembered or self.opted_out):
            raise ValueError("remembers a caller whose number is hidden")
        return self

    @model_validator(mode="after")
    def _lines_exist(self) -> Self:
        lines = [answer.line for answer in self.expect.answers]
        lines += [taken.after_line for taken in self.taken]
        lines += [busy.after_line for busy in self.busy]
        if any(line > len(self.says) for line in lines):
            raise ValueError(f"names a line that the caller does not say: {max(lines)}")
        return self


class Scenario(_Part):
    """One simulated caller; the keys are LiveKit's."""

    label: str
    instructions: str
    agent_expectations: str
    tags: dict[str, str] = Field(default_factory=dict)
    userdata: Userdata


class Scenarios(_Part):
    """A file of them; each has a label of its own."""

    name: str
    scenarios: Annotated[tuple[Scenario, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        labels = [scenario.label for scenario in self.scenarios]
        if len(set(labels)) < len(labels):
            raise ValueError("two scenarios have one label")
        return self


def load(path: Path) -> Scenarios:
    """Return the scenarios in a file.

    Raises:
        ConfigError: With every problem found, where it is and what would be right.
    """
    return read_model(
        path, Scenarios, keys="`name:` and `scenarios:`", described_in="docs/simulate.md"
    )
