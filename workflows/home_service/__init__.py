"""Home service: takes the calls of a trade whose owner is out on a job, and fills in a job card."""

from __future__ import annotations

from thirdring.settings import TurnTaking
from thirdring.workflow import Workflow
from tools import appointments, callback, calls, hours, job_card, memory, messages

__all__ = ["workflow"]

workflow = Workflow(
    name="home_service",
    direction="inbound",
    turn_taking=TurnTaking(kind="semantic_vad", eagerness="medium"),
    tools=(
        job_card.note_job,
        hours.opening_hours,
        appointments.find_slots,
        job_card.book_appointment,
        job_card.confirm_job,
        messages.take_message,
        callback.request_callback,
        memory.remember_caller,
        memory.forget_caller,
        calls.transfer_call,
        calls.end_call,
    ),
    facts=("notes",),
    greeting=(
        "Hello, thank you for calling {{ business_name }}. "
        "We are out on a job, but I can book you in. What can we do for you?"
    ),
    outcome=job_card.JobCard,
)
