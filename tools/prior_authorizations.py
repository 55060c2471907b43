"""Prior authorisations: what a payer is called for, and what it says to it.

A decision counts only as far as it stands in the transcript: neither a reference nor a name nor the
decision itself can be made up.
"""

from __future__ import annotations

import json
import re
from typing import ClassVar, Final, Literal, get_args

from livekit.agents import RunContext, function_tool
from pydantic import BaseModel, ConfigDict

from thirdring.errors import StoreError, ToolRefused
from thirdring.outcome import Outcome
from thirdring.state import CallState
from thirdring.store.errands import settle
from tools.far_end import FarEnd, far_end
from tools.guard import guarded
from tools.quotes import (
    CHANGED,
    compact,
    quoted_turn,
    require_name_said,
    require_reference_said,
    said_since,
)

__all__ = ["Decision", "PriorAuthorization", "PriorAuthorizationRequest", "note_decision"]

Decision = Literal["approved", "denied", "pending"]

_NOT: Final = (
    r"\b(?:not|never|no|cannot|\w+n['\u2019]t|(?:is|was|has|have|had|does|did|would|could|ca)nt)\b"
)
_DECIDES: Final = {
    "approved": re.compile(r"\b(?:approv\w+|authoriz\w+|authoris\w+|certified|granted)\b", re.I),
    "denied": re.compile(
        r"\b(?:den(?:y|ies|ied|ial)|reject\w*|declin\w+|disapprov\w+|not (?:been )?"
        r"(?:approved|authori[sz]ed|certified|granted|covered))\b",
        re.I,
    ),
    "pending": re.compile(
        r"\b(?:pend\w*|review\w*|process\w*|wait\w*|received|still|not (?:yet|been decided)"
        r"|undecided|open|in progress|need\w* more)\b",
        re.I,
    ),
}
_NEGATED: Final = {
    "approved": re.compile(
        rf"{_NOT}(?:\W+\w+){{0,3}}?\W+(?:approv|authori[sz]|certif|grant)"
        r"|\b(?:unless|if|whether|revoked|rescinded|withdrawn|overturned)\b",
        re.I,
    ),
    "denied": re.compile(
        rf"{_NOT}(?:\W+\w+){{0,3}}?\W+(?:den[yi]|reject|declin|disapprov)"
        r"|\b(?:unless|if|whether)\b[^.!?]*\b(?:den[yi]|reject|declin|disapprov)",
        re.I,
    ),
    "pending": re.compile(
        rf"{_NOT}(?:\W+\w+){{0,2}}?\W+(?:pend|under review|in review|in progress|open)", re.I
    ),
}
_CORRECTED = re.compile(
    r"\b(?:actually|correction|mistaken?|misread|misspoke|wrong|apolog\w+|sorry|wait|no longer)\b",
    re.I,
)
# Somebody who asks has decided nothing; a transcript may lack the question mark.
_ASKED = re.compile(
    r"(?:^|(?<=[.!?] ))(?:has|have|was|were|is|did|can|could|will)\b[^.!?]*[.!?]?|[^.!?]*\?", re.I
)


class PriorAuthorizationRequest(BaseModel):
    """What a payer is to be called for.

    Attributes:
        date_of_birth: As 1984-03-09, which is also typed on keys.
        procedure: In words.
        procedure_code: Such as a CPT code.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    payer: str = ""
    member_name: str = ""
    member_id: str = ""
    date_of_birth: str = ""
    procedure: str = ""
    procedure_code: str = ""
    provider_name: str = ""
    provider_npi: str = ""


class PriorAuthorization(Outcome):
    """What the payer has decided.

    Attributes:
        reference: The payer's number of the decision or of the request.
        spoken_to: The name of the person who said it.
        reason: Why, in their words.
        quote: What they said, word for word as it was written down.
    """

    needed: ClassVar[tuple[str, ...]] = ("status", "spoken_to", "quote")

    status: Decision | None = None
    reference: str | None = None
    spoken_to: str | None = None
    reason: str | None = None
    quote: str | None = None

    def missing(self) -> tuple[str, ...]:
        """Return what is missing: an approval is worth nothing without its number."""
        number = self.status == "approved" and not self.reference
        return (*super().missing(), *(["reference"] if number else []))


@function_tool
@guarded(effect=True)
async def note_decision(
    ctx: RunContext[CallState],
    status: str,
    quote: str,
    *,
    reference: str = "",
    spoken_to: str = "",
    reason: str = "",
) -> str:
    """Note what the payer has decided. Call it again when you have learned more.

    Args:
        status: One of approved, denied and pending.
        quote: The words of the payer that say so, exactly as they were spoken.
        reference: The payer's reference number, as they said it. Empty if they have not.
        spoken_to: The name of the person you are speaking with. Empty if they have not said it.
        reason: Why it was denied or is pending, in their words. Empty if they have not said it.
    """
    state = ctx.userdata
    if status not in get_args(Decision):
        raise ToolRefused("The status is one of approved, denied and pending.")
    if await far_end(state) in (FarEnd.HOLD, FarEnd.VOICEMAIL):
        raise ToolRefused("Nobody has answered yet. Wait for a person.")
    turn = await quoted_turn(state, quote)
    _require_decision(turn.text, status)
    if any(_takes_back(text, status) for text in said_since(state, turn)):
        raise ToolRefused(CHANGED)
    if reference:
        require_reference_said(state, reference)
    if spoken_to:
        require_name_said(state, spoken_to)
    if reason:
        await quoted_turn(state, reason)
    told = {
        "reference": compact(reference).upper() or None,
        "spoken_to": spoken_to.strip() or None,
        "reason": reason.strip() or None,
    }
    known = {name: value for name, value in told.items() if value is not None}
    noted = state.outcome.fill(status=status, quote=turn.text, **known)
    await _settle(state, noted)
    return json.dumps({"noted": status, "next": _what_next(noted)})


def _require_decision(text: str, status: str) -> None:
    if not _decides(_ASKED.sub(" ", text), status):
        raise ToolRefused(f"These words do not say {status}. Ask what the decision is.")


def _decides(stated: str, status: str) -> bool:
    return bool(_DECIDES[status].search(stated)) and not _NEGATED[status].search(stated)


def _takes_back(text: str, status: str) -> bool:
    """Return whether words correct a decision; every approval is followed by what may be denied."""
    stated = _ASKED.sub(" ", text)
    return bool(_CORRECTED.search(stated)) and any(
        _decides(stated, other) for other in ("approved", "denied") if other != status
    )


def _what_next(noted: Outcome) -> str:
    missing = noted.missing()
    if not missing:
        return "Thank them, say goodbye, and end the call."
    asks = {"reference": "the reference number", "spoken_to": "their name"}
    return f"Ask for {' and '.join(asks[name] for name in missing)}, and note it as well."


async def _settle(state: CallState, noted: Outcome) -> None:
    if state.errand is None:
        return
    result = noted.model_dump(mode="json", exclude_none=True)
    try:
        await settle(
            state.store,
            state.errand,
            state=str(result["status"]),
            result=result,
            now=state.clock.now(),
        )
    except StoreError as error:
        # The record of this call says it too.
        raise ToolRefused("It could not be noted now. Try once more, then end the call.") from error
