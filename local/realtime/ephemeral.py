"""Client secrets: short-lived keys, each with the settings of the sessions that it opens."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.realtime.configuration import Configuration, updated
from local.realtime.protocol import JsonObject, Refusal, first_problem, new_id

__all__ = ["PREFIX", "ClientSecrets"]

PREFIX = "ek_"
"""How the values begin, as OpenAI's do."""

_MOST = 1000
"""Each keeps the settings of a session for up to two hours."""


class _Lifetime(BaseModel):
    model_config = ConfigDict(extra="forbid")

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    expires_after: _Lifetime | None = None
    session: JsonObject | None = None


@dataclass(frozen=True)
class _Secret:
    expires_at: int
    configuration: Configuration


@dataclass
class ClientSecrets:
    """Those of one server, in memory.

    Attributes:
        now: Seconds since the epoch.
    """

    now: Callable[[], float] = time.time
    _known: dict[str, _Secret] = field(default_factory=dict)

    def create(self, document: JsonObject) -> JsonObject:
        """Return a new secret as the API shows it.

        Raises:
            Refusal: The wanted session or lifetime cannot be, or there are too many secrets.
        """
        self._known = {k: v for k, v in self._known.items() if v.expires_at > self.now()}
        if len(self._known) >= _MOST:
            why = f"{_MOST} client secrets are valid; wait until one expires."
            raise Refusal("too_many_client_secrets", why)
        try:
            wanted = _Wanted.model_validate(document)
        except ValidationError as error:
            raise first_problem(error, document) from None
        configuration = updated(Configuration(id=new_id("sess")), wanted.session or {})
        expires_at = int(self.now()) + (wanted.expires_after or _Lifetime()).seconds
        value = PREFIX + secrets.token_hex(16)
        self._known[value] = _Secret(expires_at, configuration)
        return {"value": value, "expires_at": expires_at, "session": configuration.wire()}

    def settings(self, value: str) -> Configuration | None:
        """Return what a session of this secret begins with; None when it is not valid."""
        found = self._known.get(value)
        if found is None or found.expires_at <= self.now():
            return None
        return found.configuration
