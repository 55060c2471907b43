"""Signing a record and posting it, after Standard Webhooks (github.com/standard-webhooks).

Only this module of `thirdring` knows httpx.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from pydantic import SecretStr

from thirdring.config_schema import is_loopback
from thirdring.settings import WebhookEndpoint

__all__ = [
    "SCHEDULE",
    "DeliveryResult",
    "Outcome",
    "deliver",
    "next_attempt",
    "open_client",
    "refusal",
    "sign",
    "verify",
]

SCHEDULE = (
    timedelta(0),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long to wait before each attempt, about three days in all (Standard Webhooks, "retries")."""

JITTER = 0.2
TIMEOUT_SECONDS = 15
TOLERANCE = timedelta(minutes=5)
LONGEST_WAIT = timedelta(hours=24)
ANSWER_BYTES = 64 * 1024

_PREFIX = "whsec_"
_ASK_TO_WAIT = frozenset({429, 502, 503, 504})


class Outcome(StrEnum):
    """What became of one attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DISABLED = "disabled"  # 410: the receiver wants no more of this


@dataclass(frozen=True)
class DeliveryResult:
    """One attempt to deliver.

    Attributes:
        status: Of HTTP; None when no answer came.
        retry_after: How long the receiver asked to be left alone, at most 24 h.
        error: Why it was not delivered, one line for people.
    """

    outcome: Outcome
    status: int | None = None
    retry_after: timedelta | None = None
    error: str | None = None


def _key(secret: SecretStr) -> bytes:
    try:
        return base64.b64decode(secret.get_secret_value().removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("the webhook's secret is not `whsec_` and base64") from None


def sign(secret: SecretStr, message_id: str, at: datetime, body: bytes) -> str:
    """Return the `webhook-signature` of a message: HMAC-SHA256 over `id.timestamp.body`.

    Raises:
        ValueError: The secret is not base64.
    """
    signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
    digest = hmac.digest(_key(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def verify(secret: SecretStr, headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Whether one of the signatures in `headers` is ours and not older than five minutes.

    Args:
        headers: With names in lower case, or a mapping that does not care.
    """
    message_id = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    if abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
        return False
    expected = sign(secret, message_id, datetime.fromtimestamp(int(stamp), UTC), body).encode()
    given = headers.get("webhook-signature", "").encode(errors="replace").split()
    return any(hmac.compare_digest(expected, signature) for signature in given)


def refusal(url: str) -> str | None:
    """Return why no record may be posted to `url`, or None when it may."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        return f"not a URL: {error}"
    if not parsed.host:
        return "no host in it"
    if parsed.userinfo:
        return "user and password in it; the signature is what proves who sent it"
    if parsed.scheme == "https" or (parsed.scheme == "http" and is_loopback(parsed.host)):
        return None
    return "neither https nor http to a loopback address"


def open_client() -> httpx.AsyncClient:
    """Return a client for `deliver`: keeps connections, no cookies, no redirects.

    https goes through the proxy of the environment, if there is one; http is loopback and does not.
    """
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=60)
    return httpx.AsyncClient(
        limits=limits,
        timeout=TIMEOUT_SECONDS,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        mounts={"http://": httpx.AsyncHTTPTransport(limits=limits)},
    )


async def deliver(
    client: httpx.AsyncClient,
    endpoint: WebhookEndpoint,
    record_id: str,
    body: bytes,
    now: datetime,
) -> DeliveryResult:
    """Post `body` once; whatever goes wrong is in the result.

    Args:
        record_id: The same at every attempt, so that the receiver knows a repetition.
    """
    refused = refusal(endpoint.url)
    if refused is not None:
        return DeliveryResult(Outcome.RETRY, error=f"webhook url: {refused}")
    answer: DeliveryResult | None = None
    try:
        headers = {
            "content-type": "application/json",
            "user-agent": "Thirdring",
            "webhook-id": record_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": sign(endpoint.secret, record_id, now, body),
        }
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            client.stream("POST", endpoint.url, content=body, headers=headers) as response,
        ):
            answer = _judge(response, now)
            await _read_a_little(response)
    except (httpx.HTTPError, httpx.StreamError, TimeoutError, OSError, ValueError) as error:
        # Once the status is known, it counts, whatever happens to the rest of the answer.
        return answer or DeliveryResult(
            Outcome.RETRY, error=f"{type(error).__name__}: {error}".rstrip(": ")[:200]
        )
    return answer


def _judge(response: httpx.Response, now: datetime) -> DeliveryResult:
    status = response.status_code
    if response.is_success:
        return DeliveryResult(Outcome.DELIVERED, status)
    if status == httpx.codes.GONE:
        return DeliveryResult(
            Outcome.DISABLED, status, error="HTTP 410: wants no more records; see the webhook url"
        )
    wait = response.headers.get("retry-after") if status in _ASK_TO_WAIT else None
    return DeliveryResult(
        Outcome.RETRY, status, _retry_after(wait, now) if wait else None, f"HTTP {status}"
    )


def _retry_after(text: str, now: datetime) -> timedelta | None:
    """RFC 9110 section 10.2.3: seconds or a date; None when it is neither or in the past."""
    if text.isascii() and text.isdigit():
        # Nobody means more than a day, and timedelta cannot hold any number of digits.
        seconds = int(text[:9]) if len(text) <= 9 else LONGEST_WAIT.total_seconds()
        return min(timedelta(seconds=seconds), LONGEST_WAIT)
    with suppress(ValueError, OverflowError):
        at = parsedate_to_datetime(text)
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
        return min(wait, LONGEST_WAIT) if wait > timedelta(0) else None
    return None


async def _read_a_little(response: httpx.Response) -> None:
    # A connection can be used again only when its answer was read to the end; a long answer, which
    # nobody wants, costs the connection instead. Raw: nothing is unpacked.
    count = 0
    async for chunk in response.aiter_raw():
        count += len(chunk)
        if count > ANSWER_BYTES:
            break


def next_attempt(
    result: DeliveryResult, attempts: int, now: datetime, jitter: float
) -> datetime | None:
    """Return when to try again, or None when all attempts of the schedule are used up.

    `Retry-After` can only lengthen the wait: a receiver that asks for one second for three days
    would otherwise use up its ten attempts within ten.

    Args:
        attempts: How many there were.
        jitter: From -1 to 1; moves the scheduled wait by up to 20 %, so that the records of an
            outage do not come back in one wave.
    """
    if attempts >= len(SCHEDULE):
        return None
    wait = SCHEDULE[attempts] * (1 + JITTER * jitter)
    return now + max(wait, result.retry_after or timedelta(0))
