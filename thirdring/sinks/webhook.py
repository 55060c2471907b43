"""Posting a record to the webhook of its business.

Only this module of `thirdring` knows httpx.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from thirdring.config_schema import is_loopback
from thirdring.settings import WebhookEndpoint
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.signing import sign

__all__ = ["deliver", "open_client", "refusal"]

TIMEOUT_SECONDS = 15
LONGEST_WAIT = timedelta(hours=24)
ANSWER_BYTES = 64 * 1024

_ASK_TO_WAIT = frozenset({429, 502, 503, 504})


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
