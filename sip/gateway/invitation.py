"""What an INVITE says, in the shape that livekit-sip gives a participant.

The names and values are those of livekit-sip 1.10 with an *individual* dispatch rule whose prefix
is `call-`; trunk and rule name the gateway instead.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from thirdring.calls import PhoneNumber

__all__ = ["RULE_ID", "TRUNK_ID", "CallStatus", "Invitation", "invitation", "masked"]

TRUNK_ID: Final = "ST_gateway"
RULE_ID: Final = "SDR_gateway"

_ALPHABET: Final = string.ascii_letters + string.digits
_LONGEST: Final = 128
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_URI = re.compile(r"sips?:(?:([^@>;?]*)@)?(\[[^\]]*\]|[^:;>?\s]*)", re.IGNORECASE)
_TAG = re.compile(r";\s*tag=([^;>\s]+)", re.IGNORECASE)


class CallStatus(StrEnum):
    """The values of `sip.callStatus` of an inbound call."""

    RINGING = "ringing"
    ACTIVE = "active"
    HANGUP = "hangup"


@dataclass(frozen=True)
class Invitation:
    """One call that somebody wants to make.

    Attributes:
        call_id: `SCL_` and twelve random characters.
        room: The room of this call alone.
        line: The line that was dialled.
        caller: The user part of From as it came, such as `+12025550199` or `anonymous`.
        host: The host part of From.
        sip_call_id: The Call-ID of the dialog.
        tag: The caller's tag of the dialog.
    """

    call_id: str
    room: str
    line: PhoneNumber
    caller: str
    host: str
    sip_call_id: str
    tag: str

    @property
    def identity(self) -> str:
        return f"sip_{self.caller}"

    @property
    def name(self) -> str:
        return f"Phone {self.caller}"

    def attributes(self, status: CallStatus) -> dict[str, str]:
        """Return the attributes of the participant."""
        return {
            "sip.callID": self.call_id,
            "sip.callIDFull": self.sip_call_id,
            "sip.callTag": self.tag,
            "sip.callStatus": status.value,
            "sip.phoneNumber": self.caller,
            "sip.trunkPhoneNumber": self.line,
            "sip.trunkID": TRUNK_ID,
            "sip.ruleID": RULE_ID,
            "sip.hostname": self.host,
        }


def invitation(
    line: PhoneNumber, *, peer: str | None, sip_call_id: str | None, headers: Mapping[str, str]
) -> Invitation:
    """Read an INVITE; whatever is missing or cannot be read is empty.

    Args:
        line: The line that was dialled.
        peer: The caller's URI, as baresip tells it.
        sip_call_id: The Call-ID of the dialog.
        headers: By name; only From is looked at (RFC 3261 section 20.20).
    """
    from_header = next((value for name, value in headers.items() if name.lower() == "from"), "")
    uri = _URI.search(from_header) or _URI.search(peer or "")
    caller, host = (uri.group(1) or "", uri.group(2)) if uri else ("", "")
    tag = _TAG.search(from_header.rpartition(">")[2] or from_header)
    clean = _clean(caller)
    return Invitation(
        call_id=f"SCL_{_random()}",
        room=f"call-_{clean}_{_random()}",
        line=line,
        caller=clean,
        host=_clean(host),
        sip_call_id=_clean(sip_call_id or ""),
        tag=_clean(tag.group(1) if tag else ""),
    )


def masked(number: str) -> str:
    """Return a number as logs may show it: its last three characters, if there are more."""
    return f"…{number[-3:]}" if len(number) > 3 else "…"


def _clean(text: str) -> str:
    """Return a header's text without control characters, cut to a sensible length."""
    return _CONTROLS.sub("", text)[:_LONGEST]


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(12))
