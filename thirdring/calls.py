"""The nouns of a call: frozen values that journal, record and tools share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

__all__ = [
    "EndReason",
    "Ending",
    "Latency",
    "Leg",
    "LegKind",
    "PhoneNumber",
    "Role",
    "ToolUse",
    "Turn",
    "Usage",
    "e164",
]


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
        interrupted: The caller spoke over it.
    """

    id: str
    role: Role
    text: str
    started_at: AwareDatetime
    ended_at: AwareDatetime
    interrupted: bool = False


class ToolUse(_Value):
    """One thing that the model did for the caller.

    Attributes:
        arguments: As the model gave them, JSON.
        result: What the model heard back; None when it failed.
        error: Why it failed, as the model heard it.
    """

    id: str
    name: str
    arguments: JsonValue
    result: str | None = None
    error: str | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime


class Latency(_Value):
    """How long the caller waited for one thing, in milliseconds.

    `answer`: job accepted to agent ready. `greeting`: answered to first agent audio.
    `reply`: end of the caller's speech, as the model saw it, to first agent audio.
    """

    kind: Literal["answer", "greeting", "reply"]
    milliseconds: float = Field(ge=0)
    turn_id: str | None = None


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

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    ABANDONED = "abandoned"  # the caller left before the answer
    REMOVED = "removed"  # someone removed the participant or deleted the room
    MEDIA_TIMEOUT = "media_timeout"  # the caller's audio stopped without a BYE
    NOT_IN_SERVICE = "not_in_service"  # no line for this call, or metadata that makes no sense
    MODEL_FAILED = "model_failed"
    TIME_LIMIT = "time_limit"
    WORKER_STOPPED = "worker_stopped"
    INTERRUPTED = "interrupted"  # the job died; written by the Courier


class Ending(_Value):
    """Why and when a call ended, set once.

    Attributes:
        detail: One line for people, such as the field that was wrong.
    """

    reason: EndReason
    at: AwareDatetime
    detail: str | None = None
