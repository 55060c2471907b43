"""Which of the two brings phone calls into rooms; apart, because command lines ask for it early."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["SipSide"]


class SipSide(StrEnum):
    """Our own gateway, or LiveKit's service with Redis, trunks and rules."""

    GATEWAY = "gateway"
    LIVEKIT_SIP = "livekit-sip"
