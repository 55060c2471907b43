"""Concierge: finds out which table its user wants, and asks the restaurant for it."""

from __future__ import annotations

from thirdring.settings import TurnTaking
from thirdring.workflow import AgentPart, Workflow
from tools import calls, guardrails, reservations

__all__ = ["workflow"]

workflow = Workflow(
    name="concierge",
    direction="inbound",
    turn_taking=TurnTaking(kind="server_vad", threshold=0.5, silence_ms=500),
    tools=(reservations.request_reservation, calls.end_call),
    greeting="Hello, this is {{ agent_name }}. Where may I reserve a table for you?",
    guardrails=(
        *guardrails.USUAL,
        guardrails.off_topic(
            r"(?:how|what)(?:'s| is| will) the weather",
            "weather (?:be|forecast|like|today|tomorrow)",
            "(?:latest|today'?s) news",
            "(?:book|find|get|reserve) (?:me |us )?(?:an? |some )?(?:flights?|hotels?)",
            "politics|politicians?|elections?",
            helps_with="tables in restaurants",
        ),
    ),
    outcome=reservations.Reservation,
    errand=reservations.ReservationRequest,
    takes_callbacks=True,
    hands_over_to=("reservation",),
    agents=(
        AgentPart(
            name="reservation",
            when="for every wish for a table: it calls the restaurant",
            tools=(reservations.note_answer, calls.end_call),
            on_its_own_call=True,
            opening=(
                'Say exactly this, word for word: "Hello, this is {{ agent_name }}, a virtual '
                "assistant. I would like to reserve a table for {{ party_size }} on {{ when }}, "
                'under the name of {{ guest_name }}. Is that possible?"'
            ),
        ),
    ),
)
