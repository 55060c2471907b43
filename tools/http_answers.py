"""What of a service's answer the model hears: text, bounded, without our secrets, as data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import httpx
from pydantic import SecretStr

from thirdring.errors import PhoneError
from thirdring.outside_settings import HttpTool
from tools.elsewhere import NotDone
from tools.guard import as_data

__all__ = ["AWAY", "Unreadable", "heard", "redacted"]

READ_BYTES: Final = 64 * 1024
_REASON_CHARACTERS: Final = 500
_SHORTEST_SECRET: Final = 6
_READABLE: Final = re.compile(r"text/[\w.+-]+|application/(?:[\w.+-]+\+)?json")
_ASK_TO_WAIT: Final = frozenset({425, 429})
_GAVE_UP: Final = 408
AWAY: Final = "That service does not answer right now. Say so, and offer to take a message."


class Unreadable(PhoneError):
    """An answer that tells a model nothing; says why, without any of it."""


async def heard(response: httpx.Response, declared: HttpTool) -> str:
    """Read an answer and return what the model hears of it.

    Raises:
        NotDone: The service said no.
        Unreadable: It failed, or answered what is no text.
    """
    status = response.status_code
    if status in _ASK_TO_WAIT:
        raise NotDone(AWAY)
    if not (200 <= status < 300 or 400 <= status < 500) or status == _GAVE_UP:
        raise Unreadable(f"answered with status {status}")
    text = redacted(await _text(response), declared.headers.values())
    if status >= 400:
        why = f" It says: {as_data(text[:_REASON_CHARACTERS])}" if text else ""
        raise NotDone(f"The service refused it (status {status}).{why}")
    answer = as_data(text) if text else "Done. The service said nothing more."
    return f"{declared.then}\n{answer}" if declared.then else answer


def redacted(text: str, secrets: Iterable[SecretStr]) -> str:
    """Return text without any of these secrets, or the words that they consist of."""
    known = {secret.get_secret_value() for secret in secrets}
    words = known | {word for value in known for word in value.split()}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET:
            text = text.replace(word, "[secret]")
    return text


async def _text(response: httpx.Response) -> str:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in {"", "identity"}:
        raise Unreadable("answered compressed, though asked not to")
    data = bytearray()
    async for chunk in response.aiter_raw():
        data += chunk
        if len(data) > READ_BYTES:
            break
    if not data:
        return ""
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    if not _READABLE.fullmatch(kind.strip().lower()) or b"\0" in data:
        raise Unreadable(f"answered what is no text ({kind.strip()[:60]!a})")
    return _decoded(bytes(data[:READ_BYTES]), parameters).strip()


def _decoded(data: bytes, parameters: str) -> str:
    match = re.search(r"charset=\"?([\w.:-]{1,40})", parameters, re.IGNORECASE)
    try:
        return data.decode(match[1] if match else "utf-8", errors="replace")
    except (LookupError, UnicodeError):  # no character set, or none of its own words
        return data.decode(errors="replace")
