"""Insurance: answers an agency's customers, remembers them, and notes who wants to be called."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from thirdring.calls import Role, Summary
from thirdring.errors import StoreError
from thirdring.outcome import Outcome
from thirdring.settings import TurnTaking
from thirdring.state import CallState
from thirdring.store.memory import CallerFact, note_facts
from thirdring.workflow import Workflow
from tools import calls, hours, knowledge, memory, messages
from tools.callback import Callback, request_callback
from tools.outcome import Told, filling, noting
from tools.spoken import spoken_day
from tools.times import here

__all__ = ["InsuranceOutcome", "asks_to_be_called", "workflow"]

logger = logging.getLogger(__name__)

Topic = Literal[
    "claim", "coverage", "payment", "quote", "change of policy", "opening hours", "other"
]

_ABOUT: Mapping[Topic, str] = {
    "claim": "a claim",
    "coverage": "what is covered",
    "payment": "a payment",
    "quote": "a quote",
    "change of policy": "a change of their policy",
    "opening hours": "the opening hours",
    "other": "something else",
}

_CALL_ME = re.compile(
    r"\b(?:call|ring|phone) (?:me|us) (?:back|up|later|again|tomorrow|today|on|at|when|next)\b"
    r"|\b(?:call|ring|phone) ?back\b|\breturn my call\b|\bgive (?:me|us) a (?:call|ring)\b"
    r"|\bhave (?:\w+ ){1,2}(?:call|ring|phone) (?:me|us)\b",
    re.IGNORECASE,
)


class InsuranceOutcome(Outcome):
    """What a customer's call was about, and whether somebody has to call them.

    Attributes:
        callback_asked: By the caller's own words or the model; a call back that was agreed to
            stands in `callback`, where only code puts it.
    """

    needed: ClassVar[tuple[str, ...]] = ("topic",)

    topic: Annotated[Topic | None, Field(description="What the call is mainly about.")] = None
    question: Annotated[
        str | None, Field(max_length=300, description="What the caller wants, in a few words.")
    ] = None
    policy_number: Annotated[
        str | None, Field(max_length=40, description="As the caller says it; never guessed.")
    ] = None
    answered: Annotated[
        bool | None, Field(description="Whether the caller had their answer in this call.")
    ] = None
    callback_asked: Annotated[
        bool, Field(description="The caller wants somebody to call them back.")
    ] = False
    callback: Callback | None = None

    def missing(self) -> tuple[str, ...]:
        """Return what is needed and says nothing, among it a call back that was not agreed to."""
        open_callback = self.callback_asked and self.callback is None
        return (*super().missing(), *(("callback",) if open_callback else ()))

    def summary(self) -> Summary | None:
        """Return what staff have to look at: what was left open."""
        if "callback" in self.missing():
            body = f"They asked for a call back, but no time was agreed. {self.question or ''}"
            return Summary(title="A caller waits for a call back", body=body.strip())
        if self.answered is False:
            title = f"A question was left open: {self.topic or 'other'}"
            return Summary(title=title, body=self.question or "They did not say what about.")
        return None


def asks_to_be_called(text: str) -> bool:
    """Return whether a caller asks for a call back, by rule."""
    return _CALL_ME.search(text) is not None


def _noticed(state: CallState, told: Told) -> Told:
    said = [turn.text for turn in state.conversation.turns if turn.role is Role.CALLER]
    return {**told, "callback_asked": True} if any(map(asks_to_be_called, said)) else told


async def _remembered(state: CallState, noted: InsuranceOutcome) -> Told:
    """Keep for the caller's next call what they asked about: "last time you asked about ..."."""
    number = state.leg.caller
    if noted.topic is None or number is None or not state.business.memory.enabled:
        return {}
    fact = CallerFact(
        business=state.business.slug,
        number=number,
        fact=f"Asked about {_ABOUT[noted.topic]} on {spoken_day(here(state).date())}",
        call_id=state.leg.call_id,
        noted_at=state.clock.now(),
    )
    try:
        await state.store.write(lambda connection: note_facts(connection, [fact]))
    except StoreError as error:  # the next call does without
        logger.warning("call %s: not remembered: %s", state.leg.call_id, error)
    return {}


def _answered(before: InsuranceOutcome, _hours: Any) -> Told:
    return {} if before.topic else {"topic": "opening hours", "answered": True}


workflow = Workflow(
    name="insurance",
    direction="inbound",
    turn_taking=TurnTaking(kind="server_vad", threshold=0.5, prefix_padding_ms=300, silence_ms=500),
    tools=(
        knowledge.of(__file__),
        filling(hours.opening_hours, InsuranceOutcome, _answered),
        noting(
            InsuranceOutcome,
            name="note_request",
            description=(
                "Note what the caller wants as soon as it is clear, and whether they have had their"
                " answer; also that they want to be called back."
            ),
            own=("callback",),
            amend=_noticed,
            after=_remembered,
        ),
        request_callback,
        messages.take_message,
        memory.remember_caller,
        memory.forget_caller,
        calls.transfer_call,
        calls.end_call,
    ),
    facts=("notes",),
    greeting=(
        "Thank you for calling {{ business_name }}, this is {{ agent_name }}. "
        "How can I help you today?"
    ),
    outcome=InsuranceOutcome,
    reply_tokens=150,
)
