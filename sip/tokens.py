"""Tokens for browsers: each opens one room of its own, in which our agent answers one line."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from livekit import api

from thirdring import AGENT_NAME, watching
from thirdring.access import LiveKitAccess
from thirdring.errors import ConfigError, Problem
from thirdring.settings import Business, Line

__all__ = ["RoomToken", "mint", "validity"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST: Final = timedelta(days=30)
_EMPTY_SECONDS: Final = 10
_DEPARTURE_SECONDS: Final = 1
"""How long the room outlives its caller: so long a worker waits for one who left before it came."""


@dataclass(frozen=True)
class RoomToken:
    """One way into one room.

    Attributes:
        token: A JWT, to be treated as a secret for as long as it is valid.
        expires_at: Who is in the room by then stays.
    """

    url: str
    room: str
    identity: str
    line: str
    expires_at: datetime
    token: str = field(repr=False)

    def document(self, business: Business) -> dict[str, str]:
        """Return everything as JSON values."""
        return {
            "url": self.url,
            "token": self.token,
            "room": self.room,
            "identity": self.identity,
            "line": self.line,
            "business": business.name,
            "expires_at": f"{self.expires_at:%Y-%m-%dT%H:%M:%SZ}",
        }

    def explanation(self, business: Business) -> str:
        """Return what a person needs to know to use it."""
        return (
            f"For one call to {business.name}, {self.line}; enter by {self.expires_at:%H:%M} UTC"
            f" on {self.expires_at:%Y-%m-%d}.\n"
            "LiveKit Agents playground (agents-playground.livekit.io): Manual, then paste both."
        )


def validity(text: str) -> timedelta:
    """Return the duration that `text` says, such as `90s`, `30m`, `12h` or `7d`.

    Raises:
        ConfigError: It says none, or one that is too long.
    """
    said = re.fullmatch(r"([1-9]\d{0,6})([smhd])", text.strip().lower(), re.ASCII)
    found = timedelta(**{_UNITS[said[2]]: int(said[1])}) if said else timedelta()
    if not timedelta() < found <= _LONGEST:
        expected = f"a duration up to {_LONGEST.days}d, such as 90s, 30m, 12h or 7d"
        raise ConfigError(
            [Problem("command", 0, 0, "--valid-for", "is no duration", text[:20], expected)]
        )
    return found


def mint(access: LiveKitAccess, line: Line, *, validity: timedelta) -> RoomToken:
    """Return a token for a new room: whoever enters with it calls this line.

    The room takes one person besides the agent, and goes soon after both have left.
    """
    call = secrets.token_hex(6)
    room, identity = f"browser-{call}", f"browser_{call}"
    dispatch = api.RoomAgentDispatch(
        agent_name=AGENT_NAME, metadata=json.dumps({"line": line.number})
    )
    grants = api.VideoGrants(
        room_join=True,
        room=room,
        can_publish=True,
        can_publish_sources=["microphone"],
        can_publish_data=True,
        can_subscribe=True,
        # Else its holder could pose as a caller of another kind, or watch without our leave.
        can_update_own_metadata=False,
    )
    configuration = api.RoomConfiguration(
        agents=[dispatch],
        empty_timeout=_EMPTY_SECONDS,
        departure_timeout=_DEPARTURE_SECONDS,
        # Agents do not count.
        max_participants=1,
    )
    expires_at = datetime.now(UTC).replace(microsecond=0) + validity
    token = (
        api.AccessToken(access.api_key, access.api_secret.get_secret_value())
        .with_identity(identity)
        .with_name("Browser")
        .with_attributes({watching.ATTRIBUTE: "true"})
        .with_grants(grants)
        .with_room_config(configuration)
        .with_ttl(validity)
        .to_jwt()
    )
    return RoomToken(access.url, room, identity, line.number, expires_at, token)
