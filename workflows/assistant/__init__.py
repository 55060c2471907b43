"""Assistant: takes calls that its owner cannot take: who, why, how urgent; meetings, messages."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from thirdring.calls import PhoneNumber, Summary
from thirdring.outcome import Outcome
from thirdring.state import CallState
from thirdring.workflow import Workflow
from tools import calendar, calls, messages
from tools.given import number_of
from tools.outcome import Told, filling, noting

__all__ = ["AssistantOutcome", "workflow"]


_URGENCIES = (
    ("can wait", re.compile(r"\b(?:not|no|isn't|can wait|whenever|no hurry|any time)\b")),
    ("urgent", re.compile(r"\b(?:urgent|emergency|right away|at once|now|immediately|yes)\b")),
    ("today", re.compile(r"\b(?:today|soon|this (?:morning|afternoon|evening)|tonight)\b")),
)


def _urgency(words: str) -> str:
    for urgency, meant in _URGENCIES:
        if meant.search(words.lower()):
            return urgency
    raise ValueError("neither urgent, nor of today, nor can it wait")


class AssistantOutcome(Outcome):
    """Who called, why, and what has come of it."""

    needed = ("caller_name", "number", "reason", "urgency")

    caller_name: str | None = Field(None, max_length=100, description="The caller's full name.")
    number: PhoneNumber | None = Field(
        None, description="Where to reach them; leave it out for the number they are calling from."
    )
    reason: str | None = Field(
        None, max_length=300, description="Why they call, in a few words, as a note to the owner."
    )
    urgency: Annotated[str, AfterValidator(_urgency)] | None = Field(
        None, description="How urgent the caller says it is: urgent, today, or can wait."
    )
    messages: tuple[str, ...] = Field((), description="Ids of the messages that were taken.")
    events: tuple[str, ...] = Field((), description="Ids of the meetings that were made.")

    def summary(self) -> Summary | None:
        """Tell the owner of every call of which anything is known."""
        if self.caller_name is None and self.reason is None:
            return None
        lines = [
            f"Why: {self.reason or 'not said'}",
            f"Number: {self.number or 'hidden'}",
            f"How urgent: {self.urgency or 'not said'}",
        ]
        if self.messages:
            lines.append(f"Messages: {len(self.messages)}")
        if self.events:
            lines.append(f"Meetings made: {len(self.events)}")
        return Summary(
            title=f"{self.caller_name or 'Somebody'} called",
            body="\n".join(lines),
            urgent=self.urgency == "urgent",
        )


def _amended(state: CallState, told: Told) -> Told:
    """Understand the number as every other one; without any it is that of the call."""
    number = told.get("number", "")
    return told | {"number": number_of(number, state)} if isinstance(number, str) else told


def _with_message(known: AssistantOutcome, result: dict[str, JsonValue]) -> Told:
    return {"messages": list(dict.fromkeys([*known.messages, str(result["message_id"])]))}


def _with_event(known: AssistantOutcome, result: dict[str, JsonValue]) -> Told:
    return {"events": list(dict.fromkeys([*known.events, str(result["event_id"])]))}


workflow = Workflow(
    name="assistant",
    direction="inbound",
    tools=(
        noting(
            AssistantOutcome,
            name="note_call",
            description=(
                "Note who is calling, why and how urgent it is, as soon as you know any of it, and "
                "again when the caller corrects it. The answer says what is still missing."
            ),
            own=("messages", "events"),
            amend=_amended,
        ),
        calendar.check_calendar,
        filling(calendar.add_event, AssistantOutcome, _with_event),
        filling(messages.take_message, AssistantOutcome, _with_message),
        calls.end_call,
    ),
    greeting=(
        "Hello, this is {{ agent_name }} of {{ business_name }}, who cannot take your call right "
        "now. Who is calling, please, and what is it about?"
    ),
    outcome=AssistantOutcome,
    connecting=True,
)
