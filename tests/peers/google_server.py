"""Google's calendar and its tokens, as far as they are used here, on loopback.

What comes and what goes is checked against the schemas of Google's discovery document.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jsonschema import (  # type: ignore[import-untyped]
    Draft202012Validator,
    FormatChecker,
)
from pydantic import SecretStr

from thirdring.outside_settings import GoogleCalendarSettings

__all__ = ["CALENDAR", "GoogleServer", "google_server"]

CALENDAR = "robin+work@example.com"
_SCHEMAS = json.loads(Path(__file__).with_name("google_calendar_schemas.json").read_text())


@dataclass
class GoogleServer:
    """What it holds and what came.

    Attributes:
        events: By their ids.
        errors: Reasons why the calendar cannot be read.
        statuses: The next answers of the API instead of what it would answer.
        tokens: How many were given out; only the last one counts.
    """

    key: rsa.RSAPrivateKey
    api: str = ""
    token_uri: str = ""
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    tokens: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def settings(self) -> GoogleCalendarSettings:
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "client_email": "thirdring@project.iam.gserviceaccount.com",
            "private_key": pem.decode(),
            "private_key_id": "k1",
            "token_uri": self.token_uri,
        }
        return GoogleCalendarSettings(
            calendar=CALENDAR, service_account=SecretStr(json.dumps(account))
        )

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assertion = str(form["assertion"])
        assert jwt.get_unverified_header(assertion)["kid"] == "k1"
        claims = jwt.decode(
            assertion,
            self.key.public_key(),
            algorithms=["RS256"],
            audience=self.token_uri,
            # The clock of the test is another one.
            options={"verify_exp": False, "verify_iat": False},
        )
        assert claims["exp"] - claims["iat"] == 3600
        assert claims["scope"] == "https://www.googleapis.com/auth/calendar"
        self.tokens += 1
        answer = {"access_token": f"t{self.tokens}", "expires_in": 3599, "token_type": "Bearer"}
        return web.json_response(answer)

    async def free_busy(self, request: web.Request) -> web.Response:
        asked = await self._checked(request, "FreeBusyRequest")
        assert asked["items"] == [{"id": CALENDAR}]
        first, last = _moment(asked["timeMin"]), _moment(asked["timeMax"])
        times = [(event["start"], event["end"]) for event in self.events.values()]
        busy = [
            {"start": start["dateTime"], "end": end["dateTime"]}
            for start, end in times
            if _moment(start["dateTime"]) < last and _moment(end["dateTime"]) > first
        ]
        found: dict[str, Any] = {"busy": busy}
        if self.errors:
            found["errors"] = [{"domain": "global", "reason": each} for each in self.errors]
        answer = {
            "kind": "calendar#freeBusy",
            "timeMin": asked["timeMin"],
            "timeMax": asked["timeMax"],
            "calendars": {CALENDAR: found},
        }
        return self._answer(answer, "FreeBusyResponse")

    async def insert(self, request: web.Request) -> web.Response:
        event = await self._checked(request, "Event")
        assert request.match_info["calendar"] == CALENDAR
        if event["id"] in self.events:
            return web.json_response({"error": {"code": 409, "message": "exists"}}, status=409)
        stored = {**event, "kind": "calendar#event", "status": "confirmed", "etag": '"1"'}
        self.events[event["id"]] = stored
        return self._answer(stored, "Event")

    async def delete(self, request: web.Request) -> web.Response:
        there = self.events.pop(request.match_info["event"], None)
        return web.Response(status=410 if there is None else 204)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path == "/token":
            return await handler(request)  # type: ignore[no-any-return]
        self.asked.append(f"{request.method} {request.path}")
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return web.json_response({"error": {"code": status}}, status=status)
        if request.headers.get("authorization") != f"Bearer t{self.tokens}":
            return web.json_response({"error": {"code": 401}}, status=401)
        return await handler(request)  # type: ignore[no-any-return]

    async def _checked(self, request: web.Request, schema: str) -> dict[str, Any]:
        document: dict[str, Any] = await request.json()
        _check(document, schema)
        return document

    def _answer(self, document: dict[str, Any], schema: str) -> web.Response:
        _check(document, schema)
        return web.json_response(document)


def _check(document: object, schema: str) -> None:
    wanted = {"$ref": f"#/$defs/{schema}", "$defs": _SCHEMAS["$defs"]}
    Draft202012Validator(wanted, format_checker=FormatChecker()).validate(document)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.utcoffset() is not None, "RFC 3339 wants an offset"
    return moment


@asynccontextmanager
async def google_server() -> AsyncIterator[GoogleServer]:
    """Listen on a free port of 127.0.0.1."""
    google = GoogleServer(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    app = web.Application(middlewares=[google._guard])
    app.router.add_post("/token", google.token)
    app.router.add_post("/calendar/v3/freeBusy", google.free_busy)
    app.router.add_post("/calendar/v3/calendars/{calendar}/events", google.insert)
    app.router.add_delete("/calendar/v3/calendars/{calendar}/events/{event}", google.delete)
    async with TestServer(app) as server:
        google.api = str(server.make_url("/calendar/v3"))
        google.token_uri = str(server.make_url("/token"))
        yield google
