"""The nouns of a call: frozen values that journal, record and tools share."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final, Literal

import phonenumbers
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

__all__ = [
    "EndReason",
    "EndedBy",
    "Ending",
    "Latency",
    "Leg",
    "LegKind",
    "PhoneNumber",
    "Role",
    "Summary",
    "ToolUse",
    "Turn",
    "Usage",
    "e164",
    "ended_by",
]


@lru_cache(maxsize=8192)
def e164(text: str) -> str | None:
    """Return `text` as an E.164 number (`+` and 7 to 15 digits), or None when it is not one.

    A leading `+` may be missing, as in the user part of many SIP URIs. ITU-T E.164; the rules of
    each country are those of libphonenumber ("possible", not "assigned").
    """
    digits = text.strip().removeprefix("tel:").removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return None
    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _checked(text: str) -> str:
    if not text.startswith("+") or e164(text) != text:
        raise ValueError("not an E.164 number such as +12025550142")
    return text


PhoneNumber = Annotated[str, AfterValidator(_checked)]
"""An E.164 number with its `+`."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LegKind(StrEnum):
    """By which door a party came in."""

    SIP = "sip"
    BROWSER = "browser"
    CONSOLE = "console"


class Leg(_Value):
    """One party of a call, as the room shows it.

    Attributes:
        call_id: Names the call in journal and record, and no other one: `sip.callID` on the phone.
        caller: Who called; None when hidden or not an E.164 number.
        called: The number dialled; None for console and browser.
        sip_call_id: The Call-ID of the SIP dialog (RFC 3261 section 8.1.1.4).
    """

    call_id: str
    kind: LegKind
    identity: str
    caller: PhoneNumber | None = None
    called: PhoneNumber | None = None
    sip_call_id: str | None = None
    trunk_id: str | None = None
    rule_id: str | None = None


class Role(StrEnum):
    """Who spoke."""

    CALLER = "caller"
    AGENT = "agent"


class Turn(_Value):
    """One utterance.

    Attributes:
        text: What was said; for an interrupted agent turn, the part that was heard (an estimate).
        interrupted: The caller spoke over it; of a caller's turn: they were gone before it was
            understood to its end.
        started_offset, ended_offset: Seconds after the call was opened, which no change of the
            wall clock moves; None in journals that had none yet.
    """

    id: str
    role: Role
    text: str
    started_at: AwareDatetime
    ended_at: AwareDatetime
    interrupted: bool = False
    started_offset: float | None = None
    ended_offset: float | None = None


class ToolUse(_Value):
    """One thing that the model did for the caller.

    Attributes:
        arguments: As the model gave them, JSON.
        result: What the model heard back; None when it failed, or had not ended with the call.
        error: Why it failed, as the model heard it.
        ended_at: None when the call was over first, or its job had died.
        started_offset, ended_offset: As those of a turn.
    """

    id: str
    name: str
    arguments: JsonValue
    result: str | None = None
    error: str | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    started_offset: float | None = None
    ended_offset: float | None = None


class Latency(_Value):
    """How long the caller waited for one thing, in milliseconds.

    `answer`: job accepted to agent ready. `greeting`: answered to first agent audio.
    `reply`: end of the caller's speech, as the model saw it, to first agent audio.
    """

    kind: Literal["answer", "greeting", "reply"]
    milliseconds: float = Field(ge=0)
    turn_id: str | None = None


class Summary(_Value):
    """What a call has come to, in words for people who were not there.

    Attributes:
        title: A few words.
        body: All that they need to act; lines and line ends as in a message.
        urgent: They are told at once, also those who want to hear of nothing else.
    """

    title: str
    body: str
    urgent: bool = False


class Usage(_Value):
    """What the model counted, in tokens; `transcribed_seconds` is audio that it wrote down."""

    model: str
    input_tokens: int = 0
    input_cached_tokens: int = 0
    input_audio_tokens: int = 0
    input_text_tokens: int = 0
    output_tokens: int = 0
    output_audio_tokens: int = 0
    output_text_tokens: int = 0
    transcribed_seconds: float = 0


class EndReason(StrEnum):
    """Why a call ended. The first one counts."""

    COMPLETED = "completed"  # the agent said goodbye and hung up, its work done
    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"  # the agent's side closed without a goodbye
    TRANSFERRED = "transferred"  # somebody else has the caller
    ABANDONED = "abandoned"  # the caller left before the answer
    REFUSED = "refused"  # a SIP side of ours said no: it is full, or no agent came
    REMOVED = "removed"  # someone removed the participant or deleted the room
    MEDIA_TIMEOUT = "media_timeout"  # the caller's audio stopped without a BYE
    NOT_IN_SERVICE = "not_in_service"  # no line for this call, or metadata that makes no sense
    MODEL_FAILED = "model_failed"
    LIMIT_REACHED = "limit_reached"  # the longest time that the workflow allows
    WORKER_STOPPED = "worker_stopped"  # or the gateway
    INTERRUPTED = "interrupted"  # a process died, or the connection to livekit-server

    @classmethod
    def _missing_(cls, value: object) -> EndReason | None:
        # Journals and records of version 1 say so.
        return cls.LIMIT_REACHED if value == "time_limit" else None


class EndedBy(StrEnum):
    """Who ended a call."""

    CALLER = "caller"
    AGENT = "agent"
    OPERATOR = "operator"  # whoever runs this installation
    SYSTEM = "system"  # a rule or a fault


_ENDED_BY: Final[Mapping[EndReason, EndedBy]] = {
    EndReason.COMPLETED: EndedBy.AGENT,
    EndReason.CALLER_HUNG_UP: EndedBy.CALLER,
    EndReason.AGENT_HUNG_UP: EndedBy.AGENT,
    EndReason.TRANSFERRED: EndedBy.AGENT,
    EndReason.ABANDONED: EndedBy.CALLER,
    EndReason.REFUSED: EndedBy.SYSTEM,
    EndReason.REMOVED: EndedBy.OPERATOR,
    EndReason.MEDIA_TIMEOUT: EndedBy.SYSTEM,
    EndReason.NOT_IN_SERVICE: EndedBy.SYSTEM,
    EndReason.MODEL_FAILED: EndedBy.SYSTEM,
    EndReason.LIMIT_REACHED: EndedBy.SYSTEM,
    EndReason.WORKER_STOPPED: EndedBy.OPERATOR,
    EndReason.INTERRUPTED: EndedBy.SYSTEM,
}


def ended_by(reason: EndReason) -> EndedBy:
    """Return who ends a call for this reason."""
    return _ENDED_BY[reason]


class Ending(_Value):
    """Why and when a call ended, set once.

    Attributes:
        detail: One line for people, such as the field that was wrong.
        offset: Seconds after the call was opened, as those of a turn.
    """

    reason: EndReason
    at: AwareDatetime
    detail: str | None = None
    offset: float | None = None
