"""A Google calendar, by its REST API (developers.google.com/workspace/calendar/api)."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

import jwt
from pydantic import AwareDatetime, BaseModel, ValidationError

from thirdring.clock import Clock
from thirdring.errors import CalendarError
from thirdring.guarded_http import GuardedClient
from thirdring.outside_settings import GoogleCalendarSettings
from thirdring.store.agenda import Span, Timed
from tools.calendars.calendar import Entry
from tools.calendars.exchange import Answer, exchange

__all__ = ["API", "GoogleCalendar"]

API: Final = "https://www.googleapis.com/calendar/v3"

_SCOPE: Final = "https://www.googleapis.com/auth/calendar"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFETIME: Final = timedelta(hours=1)
_MARGIN: Final = timedelta(minutes=1)
_THERE_ALREADY: Final = 409
_GONE: Final = frozenset({404, 410})


class _Account(BaseModel):
    """The parts that matter of a service account's key file."""

    client_email: str
    private_key: str
    private_key_id: str | None = None
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class _Token(BaseModel):
    access_token: str
    expires_in: int = 3600


class _Period(BaseModel):
    start: AwareDatetime
    end: AwareDatetime


class _Trouble(BaseModel):
    reason: str = "unknown"


class _Busy(BaseModel):
    busy: tuple[_Period, ...] = ()
    errors: tuple[_Trouble, ...] = ()


class _FreeBusy(BaseModel):
    calendars: dict[str, _Busy]


class GoogleCalendar:
    """A calendar that a service account may write to.

    Args:
        api: Where the API is.
    """

    def __init__(
        self,
        client: GuardedClient,
        settings: GoogleCalendarSettings,
        clock: Clock,
        *,
        api: str = API,
    ) -> None:
        self._client = client
        self._calendar = settings.calendar
        self._clock = clock
        self._api = api
        self._events = f"{api}/calendars/{quote(settings.calendar, safe='')}/events"
        try:
            key = settings.service_account.get_secret_value()
            self._account = _Account.model_validate_json(key)
        except ValidationError:
            raise CalendarError("the service account's key is not its whole JSON file") from None
        self._token: str | None = None
        self._token_ends = datetime.min.replace(tzinfo=UTC)

    async def busy(self, span: Timed) -> list[Span]:
        """Return the times at which the calendar shows its owner as busy; see `Calendar`."""
        asked = {
            "timeMin": _rfc3339(span.starts_at),
            "timeMax": _rfc3339(span.ends_at),
            "items": [{"id": self._calendar}],
        }
        answer = await self._send("POST", f"{self._api}/freeBusy", asked)
        if answer.status != 200:
            raise answer.unexpected()
        try:
            found = _FreeBusy.model_validate_json(answer.body).calendars[self._calendar]
        except (ValidationError, KeyError) as error:
            raise CalendarError("the calendar's server answered something else") from error
        if found.errors:
            raise CalendarError(f"the calendar cannot be read: {found.errors[0].reason}")
        return [Span(period.start, period.end) for period in found.busy]

    async def add(self, entry: Entry) -> None:
        """Insert an event with an id of ours; see `Calendar`."""
        event = {
            "id": entry.id,
            "summary": entry.title,
            # Google takes HTML here.
            "description": html.escape(entry.notes),
            "start": {"dateTime": _rfc3339(entry.starts_at)},
            "end": {"dateTime": _rfc3339(entry.ends_at)},
        }
        answer = await self._send("POST", self._events, event)
        if answer.status not in (200, _THERE_ALREADY):
            raise answer.unexpected()

    async def remove(self, entry_id: str) -> None:
        """Delete an event; see `Calendar`."""
        answer = await self._send("DELETE", f"{self._events}/{entry_id}")
        if answer.status != 204 and answer.status not in _GONE:
            raise answer.unexpected()

    async def _send(
        self, method: str, url: str, document: Mapping[str, object] | None = None
    ) -> Answer:
        body = b"" if document is None else json.dumps(document).encode()
        headers = {
            "authorization": f"Bearer {await self._access()}",
            "content-type": "application/json",
        }
        answer = await exchange(self._client, method, url, headers, body)
        if answer.status == 401:
            # It was revoked before its time; the next request asks for another one.
            self._token = None
        return answer

    async def _access(self) -> str:
        """Return a token that lasts for a while (developers.google.com/identity/protocols/oauth2,
        "service account")."""
        now = self._clock.now()
        if self._token is not None and now < self._token_ends - _MARGIN:
            return self._token
        form = urlencode({"grant_type": _GRANT, "assertion": self._assertion(now)}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        answer = await exchange(self._client, "POST", self._account.token_uri, headers, form)
        if answer.status != 200:
            raise CalendarError(f"the service account was refused: {answer.status}")
        try:
            token = _Token.model_validate_json(answer.body)
        except ValidationError:
            raise CalendarError("the service account got no token") from None
        self._token, self._token_ends = (
            token.access_token,
            now + timedelta(seconds=token.expires_in),
        )
        return token.access_token

    def _assertion(self, now: datetime) -> str:
        claims = {
            "iss": self._account.client_email,
            "scope": _SCOPE,
            "aud": self._account.token_uri,
            "iat": int(now.timestamp()),
            "exp": int((now + _LIFETIME).timestamp()),
        }
        try:
            return jwt.encode(
                claims,
                self._account.private_key,
                algorithm="RS256",
                headers=None if (kid := self._account.private_key_id) is None else {"kid": kid},
            )
        except (ValueError, TypeError, jwt.PyJWTError):
            raise CalendarError("the service account's private key cannot be read") from None


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
