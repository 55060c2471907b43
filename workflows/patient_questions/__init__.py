"""Patient questions: answers a clinic's patients, offers appointments and books them."""

from __future__ import annotations

from thirdring.workflow import TurnTaking, Workflow
from tools import appointments, calls, hours

__all__ = ["workflow"]

workflow = Workflow(
    name="patient_questions",
    direction="inbound",
    turn_taking=TurnTaking(kind="semantic_vad", eagerness="medium"),
    tools=(
        hours.opening_hours,
        appointments.find_slots,
        appointments.book_appointment,
        calls.end_call,
    ),
    facts=("facility_name", "address", "notes"),
    greeting="Hello, thank you for calling {{ facility_name }}. How can I help you today?",
)
