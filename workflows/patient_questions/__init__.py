"""Patient questions: answers a clinic's patients, offers appointments and books them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from thirdring.calls import Summary
from thirdring.outcome import Outcome
from thirdring.settings import TurnTaking
from thirdring.workflow import Workflow
from tools import appointments, calls, hours, memory, messages
from tools.outcome import Told, filling, noting

__all__ = ["VisitOutcome", "workflow"]

Topic = Literal[
    "opening hours",
    "directions",
    "visit",
    "appointment",
    "medical",
    "billing",
    "complaint",
    "other",
]


class VisitOutcome(Outcome):
    """What a patient's call was about and what came of it.

    Attributes:
        reference, appointment, patient_name: Of what was booked; only code fills them in.
    """

    needed: ClassVar[tuple[str, ...]] = ("topic", "result")

    topic: Annotated[Topic | None, Field(description="What the call is mainly about.")] = None
    question: Annotated[
        str | None, Field(max_length=300, description="What the caller asked, in a few words.")
    ] = None
    result: Annotated[
        Literal["answered", "booked", "referred"] | None,
        Field(description="What came of it; `referred` when only the staff can help."),
    ] = None
    reference: str | None = None
    appointment: str | None = None
    patient_name: str | None = None

    def summary(self) -> Summary | None:
        """Return what staff have to look at: what was left to them."""
        if self.result != "referred":
            return None
        asked = self.question or "They asked for what only you can say."
        return Summary(title=f"A patient's question: {self.topic or 'other'}", body=asked)


def _booked(_before: VisitOutcome, booking: Any) -> Told:
    return {
        "topic": "appointment",
        "result": "booked",
        "reference": booking["reference"],
        "appointment": booking["spoken"],
        "patient_name": booking["name"],
    }


def _answered(before: VisitOutcome, _hours: Any) -> Told:
    # Whoever asks the hours besides has still called about something else.
    return {} if before.result else {"topic": "opening hours", "result": "answered"}


workflow = Workflow(
    name="patient_questions",
    direction="inbound",
    turn_taking=TurnTaking(kind="semantic_vad", eagerness="medium"),
    tools=(
        filling(hours.opening_hours, VisitOutcome, _answered),
        appointments.find_slots,
        filling(appointments.book_appointment, VisitOutcome, _booked),
        noting(
            VisitOutcome,
            name="note_question",
            description=(
                "Note what the caller asks and what comes of it: once, as soon as both are clear,"
                " and always when you refer them to the staff."
            ),
            own=("reference", "appointment", "patient_name"),
        ),
        messages.take_message,
        memory.remember_caller,
        memory.forget_caller,
        calls.end_call,
    ),
    facts=("facility_name", "address", "notes"),
    greeting="Hello, thank you for calling {{ facility_name }}. How can I help you today?",
    outcome=VisitOutcome,
)
