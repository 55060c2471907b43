"""`scenarios.yaml`: simulated callers of a workflow, and what must be true after their calls.

The keys are those of LiveKit's simulations (docs.livekit.io/agents/start/testing/simulations): one
model plays the caller by `instructions`, another judges by `agent_expectations`. What a run without
any model needs stands in `userdata`: the caller's lines, and expectations that can be checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from local.documents import read_model
from thirdring.calls import PhoneNumber

__all__ = ["Expected", "Outcome", "Scenario", "Scenarios", "load", "unmet"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Booking(_Part):
    """An appointment.

    Attributes:
        slot: Its id, as `find_slots` returns it.
        phone: None when none is known.
    """

    slot: str
    name: str
    phone: PhoneNumber | None


class ToolOutcome(_Part):
    """A tool that was used.

    Attributes:
        refused: The model heard an error, not a result.
    """

    name: str
    refused: bool = False


class ExpectedAnswer(_Part):
    """What is said to one of the caller's lines, upper and lower case alike.

    Attributes:
        line: Counted from 1.
        has: Each must occur in the answer.
        lacks: None may.
    """

    line: Annotated[int, Field(ge=1)]
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.has and not self.lacks:
            raise ValueError("expects nothing of the answer")
        return self


class Expected(_Part):
    """What must be true after the call; nothing of it can be left open but the words.

    Attributes:
        tools: All that were used, in this order.
        appointments: All that the call has made.
        ended: The agent wants to hang up.
    """

    tools: tuple[ToolOutcome, ...]
    appointments: tuple[Booking, ...]
    ended: bool
    answers: tuple[ExpectedAnswer, ...] = ()


class Taken(_Part):
    """A slot that somebody else books.

    Attributes:
        after_line: Of the caller, counted from 1; 0 for before the call.
    """

    slot: str
    after_line: Annotated[int, Field(ge=0)] = 0


class Userdata(_Part):
    """One call without any model.

    Attributes:
        now: When it takes place.
        caller: Their number; None when hidden.
        says: The caller's lines; each waits for the answer to the one before.
    """

    now: AwareDatetime
    caller: PhoneNumber | None
    taken: tuple[Taken, ...] = ()
    says: Annotated[tuple[str, ...], Field(min_length=1)]
    expect: Expected

    @model_validator(mode="after")
    def _lines_exist(self) -> Self:
        lines = [answer.line for answer in self.expect.answers]
        lines += [taken.after_line for taken in self.taken]
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
        path, Scenarios, keys="`name:` and `scenarios:`", described_in="local/scenarios.py"
    )


@dataclass(frozen=True)
class Outcome:
    """How a call went: as in `Expected`, with one answer for each of the caller's lines."""

    tools: tuple[ToolOutcome, ...]
    appointments: tuple[Booking, ...]
    ended: bool
    answers: tuple[str, ...]


def unmet(expected: Expected, outcome: Outcome) -> list[str]:
    """Return what is not as expected, one line each."""
    return [*_unmet_facts(expected, outcome), *_unmet_words(expected.answers, outcome.answers)]


def _unmet_facts(expected: Expected, outcome: Outcome) -> Iterator[str]:
    for name in Expected.model_fields.keys() - {"answers"}:
        wanted, got = getattr(expected, name), getattr(outcome, name)
        if wanted != got:
            yield f"{name}: got {got!r}, expected {wanted!r}"


def _unmet_words(expected: Sequence[ExpectedAnswer], answers: Sequence[str]) -> Iterator[str]:
    for one in expected:
        answer = answers[one.line - 1]
        said = answer.lower()
        for words in one.has:
            if words.lower() not in said:
                yield f"the answer to line {one.line} lacks {words!r}: {answer!r}"
        for words in one.lacks:
            if words.lower() in said:
                yield f"the answer to line {one.line} has {words!r}: {answer!r}"
