"""The part of `thirdring.yaml` that says where records go."""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from thirdring.config_values import FilePart, wrong
from thirdring.settings import FileSettings, MongoSettings, SinkSettings, WebhookEndpoint

__all__ = ["SinksFile", "WebhookFile", "is_mongodb_url"]

# What a home folder has already: records in there would be taken for journals, or break the store.
_OWN: Final = frozenset(
    (
        *("archive", "courier.lock", "courier.sock", "id", "journals", "logs"),
        *("store.db", "store.db-shm", "store.db-wal"),
    )
)
_COLLECTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,119}")
_DATABASE: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")


def _webhook_secret(text: str) -> str:
    expected = "whsec_ and base64 of 24 to 64 random bytes"
    if not text.startswith("whsec_"):
        raise wrong("does not begin with whsec_", expected)
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise wrong("is not base64 after whsec_", expected) from None
    if not 24 <= len(key) <= 64:
        raise wrong("is too short" if len(key) < 24 else "is too long", expected)
    return text


def _file_path(text: str) -> str:
    if not text or "\0" in text or Path(text).name in ("", ".."):
        raise wrong("names no file", "a path such as records.jsonl")
    if os.path.normpath(text).split("/")[0] in _OWN:
        raise wrong("is a place of Thirdring's own", "a path such as records.jsonl")
    return text


def is_mongodb_url(text: str) -> bool:
    """Tell whether a text looks like the URL of a MongoDB; its driver may know better."""
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("mongodb", "mongodb+srv") and url.netloc.rpartition("@")[2] != ""


def _mongodb_url(text: str) -> str:
    if not is_mongodb_url(text):
        raise wrong("is no address of MongoDB", "mongodb://host or mongodb+srv://host")
    return text


def _database(text: str) -> str:
    if not _DATABASE.fullmatch(text):
        raise wrong("is no name for a database", "1 to 63 of letters, digits, _ and -")
    return text


def _collection(text: str) -> str:
    if not _COLLECTION.fullmatch(text) or text.startswith("system."):
        expected = "up to 120 of letters, digits, _, - and ., a letter or _ first"
        raise wrong("is no name for a collection", expected)
    return text


_Secret = Annotated[str, AfterValidator(_webhook_secret)]


class WebhookFile(FilePart):
    """Where records are posted to; `thirdring.config_checks` judges the URL."""

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    secret: _Secret
    # A key without a value is a slip: hence no `None`.
    previous_secret: _Secret = ""

    def endpoint(self) -> WebhookEndpoint:
        """Return what the rest of the program reads."""
        previous = SecretStr(self.previous_secret) if self.previous_secret else None
        secret = SecretStr(self.secret)
        return WebhookEndpoint(url=self.url, secret=secret, previous_secret=previous)


class FileFile(FilePart):
    path: Annotated[str, AfterValidator(_file_path)]


class MongoFile(FilePart):
    url: Annotated[str, AfterValidator(_mongodb_url)]
    database: Annotated[str, AfterValidator(_database)]
    collection: Annotated[str, AfterValidator(_collection)] = "calls"


class SinksFile(FilePart):
    """Where records go besides the webhook."""

    file: FileFile | None = None
    mongodb: MongoFile | None = None

    def settings(self) -> SinkSettings:
        """Return what the rest of the program reads."""
        mongodb = self.mongodb and MongoSettings(
            url=SecretStr(self.mongodb.url),
            database=self.mongodb.database,
            collection=self.mongodb.collection,
        )
        return SinkSettings(
            file=self.file and FileSettings(path=Path(self.file.path)), mongodb=mongodb
        )
