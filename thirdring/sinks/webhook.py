"""Posting a record to the webhook of its business."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx

from thirdring.egress import Network
from thirdring.errors import EgressRefused
from thirdring.guarded_http import GuardedClient, Resolve, authorities, resolve
from thirdring.settings import WebhookEndpoint
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.signing import sign

__all__ = ["WebhookSink", "open_client", "signatures"]

TIMEOUT_SECONDS = 15
LONGEST_WAIT = timedelta(hours=24)
ANSWER_BYTES = 64 * 1024

_ASK_TO_WAIT = frozenset({429, 502, 503, 504})


def open_client(
    allowed: Sequence[Network] = (),
    *,
    tls: ssl.SSLContext | None = None,
    resolve: Resolve = resolve,
) -> GuardedClient:
    """Return a client for webhooks, which keeps connections; see `GuardedClient`."""
    # How many there may be at one time is the courier's to say.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=60)
    return GuardedClient(
        allowed, limits=limits, timeout=TIMEOUT_SECONDS, tls=tls or authorities(), resolve=resolve
    )


@dataclass(frozen=True)
class WebhookSink:
    """The webhook of one business.

    Attributes:
        timeout: Seconds for an attempt in all.
    """

    client: GuardedClient
    endpoint: WebhookEndpoint
    timeout: float = TIMEOUT_SECONDS

    @property
    def address(self) -> str:
        return self.endpoint.url

    async def deliver(self, record_id: str, body: bytes, now: datetime) -> DeliveryResult:
        """Post `body` once; whatever goes wrong is in the result."""
        answer: DeliveryResult | None = None
        try:
            headers = {
                "content-type": "application/json",
                "user-agent": "Thirdring",
                "webhook-id": record_id,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": signatures(self.endpoint, record_id, now, body),
            }
            async with (
                asyncio.timeout(self.timeout),
                self.client.sending("POST", self.endpoint.url, body, headers) as response,
            ):
                answer = _judge(response, now)
                await _read_a_little(response)
        except EgressRefused as refused:
            return DeliveryResult(Outcome.RETRY, error=f"the webhook's url {refused}")
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            httpx.StreamError,
            TimeoutError,
            OSError,
            ValueError,
        ) as error:
            # Once the status is known, it counts, whatever happens to the rest of the answer.
            return answer or DeliveryResult(
                Outcome.RETRY, error=f"{type(error).__name__}: {error}".rstrip(": ")[:200]
            )
        return answer


def signatures(endpoint: WebhookEndpoint, record_id: str, now: datetime, body: bytes) -> str:
    """Return one signature per secret, so that a receiver may know either while they change.

    Raises:
        ValueError: A secret is not base64.
    """
    secrets = (endpoint.secret, endpoint.previous_secret)
    return " ".join(sign(secret, record_id, now, body) for secret in secrets if secret)


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
