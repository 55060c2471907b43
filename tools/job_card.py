"""The job card of a trade: what is to be done where, when and for whom, and whether it can wait."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Annotated, Any, ClassVar

from livekit.agents import RunContext, function_tool
from pydantic import Field

from thirdring.calls import Role, Summary
from thirdring.errors import StoreError, ToolRefused
from thirdring.outcome import Outcome
from thirdring.state import CallState
from tools.appointments import book_appointment as book_any_appointment
from tools.confirming import Critical, Name, Phone, Words, require_confirmed
from tools.guard import guarded
from tools.notifications import notify
from tools.outcome import Told, filling, noting, result
from tools.people import name_given, number_given
from tools.spoken import listed
from tools.times import here

__all__ = ["JobCard", "book_appointment", "confirm_job", "emergency_in", "note_job"]

logger = logging.getLogger(__name__)

_Short = Annotated[str, Field(max_length=200)]


class JobCard(Outcome):
    """What a tradesperson must know to do a job.

    Attributes:
        when: As agreed; a time that was booked says so in `appointment`.
        confirmed: The caller has heard it all and agreed; only code says so.
        reference, appointment: Of the time that was booked.
    """

    needed: ClassVar[tuple[str, ...]] = (
        "service",
        "address",
        "when",
        "name",
        "phone",
        "confirmed",
    )

    service: Annotated[
        _Short | None, Field(description="What is to be done or what is wrong, in a few words.")
    ] = None
    address: Annotated[
        _Short | None, Field(description="Where: street and number, or the area if they say less.")
    ] = None
    when: Annotated[
        _Short | None, Field(description="When they want it done, in their own words.")
    ] = None
    name: Annotated[_Short | None, Field(description="The caller's full name.")] = None
    phone: Annotated[
        _Short | None, Field(description="The number at which they can be called.")
    ] = None
    urgent: Annotated[
        bool, Field(description="It cannot wait: danger to people, or damage that grows.")
    ] = False
    urgent_why: Annotated[_Short | None, Field(description="Why it cannot wait.")] = None
    notes: Annotated[
        str | None,
        Field(max_length=500, description="Anything else that helps: access, pets, the model."),
    ] = None
    confirmed: bool | None = None
    reference: str | None = None
    appointment: str | None = None

    def summary(self) -> Summary | None:
        """Return the card as staff read it; None while it is blank."""
        if self == type(self)():
            return None
        what = self.service or "a call without a job"
        where = f", {self.address}" if self.address else ""
        return Summary(
            title=f"{'URGENT: ' if self.urgent else 'Job: '}{what}{where}",
            body="\n".join(self._lines()),
            urgent=self.urgent,
        )

    def _lines(self) -> list[str]:
        time = self.appointment and f"{self.appointment} (reference {self.reference})"
        fields = {
            "Urgent": self.urgent_why if self.urgent else None,
            "Service": self.service,
            "Where": self.address,
            "When": time or self.when,
            "Name": self.name,
            "Phone": self.phone,
            "Notes": self.notes,
            "Missing": ", ".join(name for name in self.missing() if name != "confirmed"),
        }
        lines = [f"{name}: {value}" for name, value in fields.items() if value]
        return lines if self.confirmed else [*lines, "The caller has not confirmed this."]


_EMERGENCIES = (
    ("gas leak", r"(?:smell\w*|leak\w*|escap\w*)(?: \w+){0,3} gas\b|\bgas(?: \w+){0,2} leak\w*"),
    ("carbon monoxide", r"carbon monoxide|\bco alarm"),
    ("fire or smoke", r"\bsmok(?:e|ing)\b|\bon fire\b|\bsparks?\b|\bsparking\b|\bburning smell"),
    ("burst pipe", r"(?:burst|broken|bursting)(?: \w+)? pipes?|pipes?(?: \w+){0,2} burst"),
    ("flooding", r"\bflood\w*|water (?:is )?(?:coming|pouring|gushing)"),
    ("sewage", r"\bsewage\b|\bsewer (?:is )?back\w*"),
)
_NO_HEATING = re.compile(
    r"\b(?:no|without|lost)(?: \w+)? (?:heat|heating)\b"
    r"|\bheat(?:ing|er)? (?:is |has )?(?:out|off|broken|failed|stopped|not working)\b",
    re.IGNORECASE,
)
_EMERGENCY = [(why, re.compile(pattern, re.IGNORECASE)) for why, pattern in _EMERGENCIES]
_WINTER = frozenset({11, 12, 1, 2, 3})
_COLD = "no heating in winter"
_OUTSIDE = "Tell them to leave the building now and to call 911 from outside."
_MAIN_TAP = "Ask them to turn off the water at the main tap, if they can."
_ADVICE = {
    "gas leak": _OUTSIDE,
    "carbon monoxide": _OUTSIDE,
    "fire or smoke": _OUTSIDE,
    "burst pipe": _MAIN_TAP,
    "flooding": _MAIN_TAP,
}


def emergency_in(text: str, at: datetime) -> str | None:
    """Return what of a caller's words cannot wait, by rule; None for nothing.

    Whoever says "no gas leak" is taken for an emergency too: a needless call costs less.

    Args:
        at: When they call, where they are.
    """
    for why, pattern in _EMERGENCY:
        if pattern.search(text):
            return why
    if at.month in _WINTER and _NO_HEATING.search(text):
        return _COLD
    return None


def _amended(state: CallState, told: Told) -> Told:
    """Return what is noted: name and number as they are kept, and what a rule calls urgent."""
    noted = {**told, "confirmed": None}
    if isinstance(name := told.get("name"), str):
        noted["name"] = name_given(name)
    if isinstance(phone := told.get("phone"), str):
        noted["phone"] = number_given(phone, state)
    said = [turn.text for turn in state.conversation.turns if turn.role is Role.CALLER]
    given = [str(told.get(field) or "") for field in ("service", "urgent_why", "notes")]
    rule = emergency_in(". ".join([*said, *given]), here(state))
    card = state.outcome.value
    known = card if isinstance(card, JobCard) else JobCard()
    if rule is not None or known.urgent:  # what staff have been told is not taken back
        noted["urgent"] = True
    if rule is not None and not (told.get("urgent_why") or known.urgent_why):
        noted["urgent_why"] = rule
    return noted


async def _tell_staff(state: CallState, card: JobCard) -> Told:
    """Tell staff at once of what cannot wait, and once more when it is known where."""
    summary = card.summary()
    if summary is None or not card.urgent:
        return {}
    key = f"urgent {'where' if card.address else 'what'}"
    try:
        told = await notify(state, title=summary.title, body=summary.body, urgent=True, key=key)
    except StoreError as error:
        # They read it at the end of the call: the card is in the journal.
        logger.warning("call %s: staff not told: %s", state.leg.call_id, error)
        told = 0
    staff = "Our staff are being told right now." if told else "Our staff are told after the call."
    advice = _ADVICE.get(card.urgent_why or "")
    return {"staff": staff, **({"advice": advice} if advice else {})}


note_job = noting(
    JobCard,
    name="note_job",
    description=(
        "Write down what the caller tells about the job, as soon as they say it: the whole card"
        " or a part of it. The answer says what is known, which is not asked again, and what is"
        " missing. Call it at once when something cannot wait."
    ),
    own=("confirmed", "reference", "appointment"),
    amend=_amended,
    after=_tell_staff,
)


def _booked(_before: JobCard, booking: Any) -> Told:
    spoken = booking["spoken"]
    return {
        "reference": booking["reference"],
        "appointment": spoken,
        "when": spoken,
        "name": booking["name"],
    }


book_appointment = filling(book_any_appointment, JobCard, _booked)
"""`tools.appointments.book_appointment`; what it has booked stands on the card."""


@function_tool
@guarded
async def confirm_job(ctx: RunContext[CallState]) -> str:
    """Close the job card once the caller has agreed to all that you have read back from it.

    Read back in one sentence: what is to be done, where, when, their name and their number. When
    they want an exact time, book it first. Do not call it while anything is missing.
    """
    card = ctx.userdata.outcome.value
    if not isinstance(card, JobCard):
        raise ToolRefused("This call has no job card.")
    if missing := [name for name in card.missing() if name != "confirmed"]:
        raise ToolRefused(f"Still missing on the job card: {listed(missing)}. Ask for it.")
    read_back = f"{card.service}, at {card.address}, {card.when}, for {card.name}"
    critical: list[Critical] = [
        Words(str(card.address)),
        Name(str(card.name)),
        Phone(str(card.phone)),
    ]
    if card.appointment is None:  # else it was agreed to when it was booked
        critical.append(Words(str(card.when)))
    await require_confirmed(ctx, read_back, *critical)
    return result(ctx.userdata.outcome.fill(confirmed=True))
