"""Keeping one document per call in a MongoDB. Only this module knows pymongo (extra `mongo`)."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from bson.errors import BSONError
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from thirdring.settings import MongoSettings
from thirdring.sinks.results import DeliveryResult, Outcome

__all__ = ["Client", "MongoSink", "document", "is_understood", "open_client"]

Client = AsyncMongoClient[dict[str, Any]]

TIMEOUT_SECONDS: Final = 15.0

# For those that the URL does not set itself. A record counts as delivered, and is never sent again,
# once most of a replica set have it on disk.
_OPTIONS: Final[Mapping[str, Any]] = {
    "appname": "thirdring",
    "connectTimeoutMS": 5000,
    "journal": True,
    "serverSelectionTimeoutMS": 5000,
    "socketTimeoutMS": 10000,
    "w": "majority",
}
# The last three: of a body that is no record, or has what BSON has no form for.
_FAULTS: Final = (PyMongoError, OSError, BSONError, ValueError, RecursionError)
_ASIDES: Final = re.compile(r" \(configured timeouts: [^)]*\)|, (Timeout: |full error: ).*")
_TIMES: Final = ("opened_at", "answered_at", "ended_at")
_ROLES: Final = {"caller": "user", "agent": "assistant"}
_LARGEST_INTEGER: Final = 2**63


@asynccontextmanager
async def open_client(settings: MongoSettings) -> AsyncIterator[Client]:
    """Yield a client of the server in `settings`, which connects when it is first used.

    Raises:
        ValueError: The URL is not one of a MongoDB; the text does not show it.
    """
    try:
        client = _client(settings.url.get_secret_value())
    except _FAULTS as error:
        raise ValueError(_without_password(str(error), settings)) from None
    try:
        yield client
    finally:
        await client.close()


def is_understood(url: str) -> bool:
    """Tell whether the driver takes a URL, as far as that shows without a server or DNS."""
    try:
        _client(url)
    except _FAULTS:
        return False
    return True


def _client(url: str) -> Client:
    given = {name.lower() for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    options = {name: value for name, value in _OPTIONS.items() if name.lower() not in given}
    with warnings.catch_warnings():
        # An option that it does not know is a mistake, not something to go on without.
        warnings.simplefilter("error", UserWarning)
        try:
            client: Client = AsyncMongoClient(url, **options)
        except UserWarning as warning:
            raise ValueError(str(warning)) from None
    if not client.write_concern.acknowledged:
        raise ValueError("w=0 asks for no answer, so that nobody knows whether a record arrived")
    return client


@dataclass(frozen=True)
class MongoSink:
    """The collection of one business.

    Attributes:
        timeout: Seconds for an attempt in all.
    """

    client: Client
    settings: MongoSettings
    timeout: float = TIMEOUT_SECONDS

    @property
    def address(self) -> str:
        hosts = urlsplit(self.settings.url.get_secret_value()).netloc.rpartition("@")[2]
        return f"mongodb {hosts} {self.settings.database}.{self.settings.collection}"

    async def deliver(self, record_id: str, body: bytes, now: datetime) -> DeliveryResult:
        """Put the document of the call where one with its id is, or add it."""
        database = self.client[self.settings.database]
        try:
            call = document(body)
            async with asyncio.timeout(self.timeout):
                await database[self.settings.collection].replace_one(
                    {"_id": call["_id"]}, call, upsert=True
                )
        except (
            PyMongoError,
            BSONError,
            TimeoutError,
            OSError,
            ValueError,
            RecursionError,
        ) as error:
            text = _briefly(_without_password(f"{type(error).__name__}: {error}", self.settings))
            return DeliveryResult(Outcome.RETRY, error=f"MongoDB: {text}"[:200].rstrip(" :,;"))
        return DeliveryResult(Outcome.DELIVERED)


def document(body: bytes) -> dict[str, Any]:
    """Return what is kept of a record.

    Turns become rows of role (user, assistant), content and timestamp (ISO 8601, UTC); the three
    times of the call become dates, which MongoDB can compare and expire by. All else is as in the
    record, so that what later records add is there as well.

    Raises:
        ValueError: The body is no record.
    """
    record = json.loads(body)
    try:
        return _document(record)
    except (LookupError, TypeError, AttributeError):
        raise ValueError("the body is no record of a call") from None


def _document(record: dict[str, Any]) -> dict[str, Any]:
    call: dict[str, Any] = {
        "_id": record.pop("call_id"),
        "record_id": record.pop("id", None),
        "organization": record.pop("business", None),
        "caller": record.pop("caller_number", None),
        "called": record.pop("called_number", None),
        "transcript": [_row(turn) for turn in record.pop("turns", ())],
    }
    for name in _TIMES:
        text = record.pop(name, None)
        call[name] = None if text is None else datetime.fromisoformat(text)
    return call | {name: _storable(value) for name, value in record.items()}


def _row(turn: Mapping[str, Any]) -> dict[str, object]:
    row = {
        "role": _ROLES.get(turn["role"], turn["role"]),
        "content": turn["text"],
        "timestamp": turn["started_at"],
    }
    return row | ({"interrupted": True} if turn.get("interrupted") else {})


def _storable(value: object) -> object:
    """Return `value` as MongoDB takes it: what a model put into arguments may be any JSON."""
    if isinstance(value, dict):
        return {_name(name): _storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    if isinstance(value, int) and not -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
        return str(value)
    return value


def _name(name: str) -> str:
    # Servers before 5.0 refuse such names, and all refuse NUL; these look the same.
    name = name.replace("\0", "\N{REPLACEMENT CHARACTER}").replace(".", "\N{FULLWIDTH FULL STOP}")
    return "\N{FULLWIDTH DOLLAR SIGN}" + name[1:] if name.startswith("$") else name


def _briefly(text: str) -> str:
    # Behind what happened the driver tells its own settings and all that it knows of each server.
    return _ASIDES.sub("", text)


def _without_password(text: str, settings: MongoSettings) -> str:
    url = settings.url.get_secret_value()
    credentials = url.partition("//")[2].rpartition("@")[0]
    password = credentials.partition(":")[2]
    for secret in (url, credentials, password, unquote(password)):
        if secret:
            text = text.replace(secret, "***")
    return " ".join(text.split())
