"""What happens to a record that is posted to a webhook, and what a receiver can check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook

from tests.peers.endpoint import serving
from tests.samples import LOOPBACK, SECRET, at
from thirdring.guarded_http import GuardedClient
from thirdring.settings import WebhookEndpoint
from thirdring.sinks.results import DeliveryResult, Outcome
from thirdring.sinks.schedule import JITTER, SCHEDULE, next_attempt
from thirdring.sinks.signing import sign, verify
from thirdring.sinks.webhook import LONGEST_WAIT, WebhookSink, open_client

BODY = '{"caller": "Grüße"}'.encode()
RETRY = DeliveryResult(Outcome.RETRY)


@pytest.fixture
async def client() -> AsyncIterator[GuardedClient]:
    async with open_client(LOOPBACK) as opened:
        yield opened


async def attempt(client: GuardedClient, url: str, now: datetime) -> DeliveryResult:
    sink = WebhookSink(client, WebhookEndpoint(url=url, secret=SECRET))
    return await sink.deliver("id-1", BODY, now)


def test_the_published_vector_gives_our_signature() -> None:
    """The example of the Standard Webhooks specification comes out."""
    signature = sign(
        SECRET,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_reference_verifier_accepts_a_delivery(client: GuardedClient) -> None:
    """A receiver that uses the published library reads what we sent."""
    async with serving() as endpoint:
        result = await attempt(client, endpoint.url, datetime.now(UTC))
        (arrival,) = endpoint.arrivals
    assert result == DeliveryResult(Outcome.DELIVERED, 204)
    assert arrival.body == BODY
    assert arrival.headers["content-type"] == "application/json"
    assert arrival.headers["webhook-id"] == "id-1"
    opened = Webhook(SECRET.get_secret_value()).verify(arrival.body, arrival.headers)
    assert opened == {"caller": "Grüße"}


@given(st.binary(max_size=100), st.text("abc-", min_size=1), st.integers(0, 2**33))
def test_what_is_signed_is_verified(body: bytes, message_id: str, second: int) -> None:
    """Our own check accepts our signature, beside others, and nothing that was changed."""
    now = datetime.fromtimestamp(second, UTC)
    signature = sign(SECRET, message_id, now, body)
    headers = {
        "webhook-id": message_id,
        "webhook-timestamp": str(second),
        "webhook-signature": f"v1a,xyz {signature}",
    }
    assert verify(SECRET, headers, body, now)
    assert not verify(SECRET, headers, body + b" ", now)
    assert not verify(SECRET, {**headers, "webhook-id": message_id + "x"}, body, now)
    assert not verify(SecretStr("whsec_AAAA"), headers, body, now)
    assert not verify(SECRET, headers, body, now + timedelta(minutes=6))


@pytest.mark.parametrize("stamp", ["", "-1", "1e3", "9" * 400, "٣", "1.5"])
def test_a_strange_timestamp_is_not_verified(stamp: str) -> None:
    """A timestamp that is no plain number of seconds is refused, not raised."""
    headers = {"webhook-id": "i", "webhook-timestamp": stamp, "webhook-signature": "v1,ä"}
    assert not verify(SECRET, headers, b"", at(0))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (301, Outcome.RETRY),
        (400, Outcome.RETRY),
        (410, Outcome.DISABLED),
        (418, Outcome.RETRY),
        (500, Outcome.RETRY),
    ],
)
async def test_the_status_decides(client: GuardedClient, status: int, outcome: Outcome) -> None:
    """2xx is delivered, 410 ends it, anything else is tried again."""
    async with serving(status) as endpoint:
        result = await attempt(client, endpoint.url, at(0))
    assert (result.outcome, result.status) == (outcome, status)
    assert (result.error is None) == (outcome is Outcome.DELIVERED)


async def test_a_redirect_is_not_followed(client: GuardedClient) -> None:
    """Wherever a receiver points, the record goes to the configured URL only."""

    async def elsewhere(_: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/elsewhere")

    async with serving(elsewhere) as endpoint:
        result = await attempt(client, endpoint.url, at(0))
        assert [arrival.path for arrival in endpoint.arrivals] == ["/hook"]
    assert (result.outcome, result.status) == (Outcome.RETRY, 307)


@pytest.mark.parametrize(
    ("status", "header", "wait"),
    [
        (429, "120", timedelta(seconds=120)),
        (503, format_datetime(at(90), usegmt=True), timedelta(seconds=90)),
        (502, "1000000000", LONGEST_WAIT),
        (504, "9" * 5000, LONGEST_WAIT),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        (503, "-5", None),
        (503, "soon", None),
        (503, format_datetime(at(-90), usegmt=True), None),
        (500, "120", None),
    ],
)
async def test_retry_after_is_read(
    client: GuardedClient, status: int, header: str, wait: timedelta | None
) -> None:
    """Seconds or a date, a day at most, from the statuses that ask to wait."""

    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": header})

    async with serving(busy) as endpoint:
        assert (await attempt(client, endpoint.url, at(0))).retry_after == wait


async def test_an_endless_answer_is_not_read(client: GuardedClient) -> None:
    """The status counts; a body without end is left where it is."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        while True:
            await response.write(b"\x1f" * 65536)

    async with asyncio.timeout(20), serving(endless) as endpoint:
        result = await attempt(client, endpoint.url, at(0))
    assert result == DeliveryResult(Outcome.DELIVERED, 200)


async def test_nothing_of_an_answer_is_sent_back(client: GuardedClient) -> None:
    """A cookie is not kept, and the next delivery uses the same connection."""
    peers = []

    async def cookie(request: web.Request) -> web.Response:
        peers.append(request.transport and request.transport.get_extra_info("peername"))
        return web.Response(headers={"Set-Cookie": "a=b; Path=/"}, text="x" * 1000)

    async with serving(cookie, cookie) as endpoint:
        await attempt(client, endpoint.url, at(0))
        await attempt(client, endpoint.url, at(0))
        assert "cookie" not in endpoint.arrivals[1].headers
    assert len({*peers}) == 1


async def test_a_dead_receiver_is_tried_again(client: GuardedClient) -> None:
    """Nobody listening is a result, not an exception."""
    async with serving() as endpoint:
        pass
    result = await attempt(client, endpoint.url, at(0))
    assert (result.outcome, result.status) == (Outcome.RETRY, None)
    assert result.error is not None
    assert "ConnectError" in result.error


async def test_a_receiver_that_hangs_up_is_tried_again(client: GuardedClient) -> None:
    """A connection that ends without an answer is a result too."""

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(hang_up) as endpoint:
        assert (await attempt(client, endpoint.url, at(0))).outcome is Outcome.RETRY


async def test_a_silent_receiver_is_given_up(client: GuardedClient) -> None:
    """After the time limit the attempt is over."""

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    async with serving(silent) as endpoint:
        target = WebhookEndpoint(url=endpoint.url, secret=SECRET)
        result = await WebhookSink(client, target, timeout=0.05).deliver("id-1", BODY, at(0))
    assert result == DeliveryResult(Outcome.RETRY, error="TimeoutError")


@pytest.mark.parametrize("url", ["http://example.com/", "https://u:p@example.com/", "file:///etc"])
async def test_an_unsafe_url_gets_nothing(client: GuardedClient, url: str) -> None:
    """A URL that may not be posted to is an error of the attempt, before any connection."""
    result = await attempt(client, url, at(0))
    assert result.outcome is Outcome.RETRY
    assert result.error is not None
    assert result.error.startswith("the webhook's url ")


def test_the_schedule_ends() -> None:
    """Ten attempts over about three days, then none."""
    now, attempts = at(0), 1
    while (due := next_attempt(RETRY, attempts, now, 0)) is not None:
        now, attempts = due, attempts + 1
    assert attempts == len(SCHEDULE)
    assert now - at(0) == timedelta(hours=75, minutes=35, seconds=5)


@given(
    st.integers(1, len(SCHEDULE) - 1),
    st.floats(-1, 1),
    st.none() | st.timedeltas(timedelta(0), LONGEST_WAIT),
)
def test_a_wait_is_never_shorter_than_asked(
    attempts: int, jitter: float, asked: timedelta | None
) -> None:
    """Jitter stays within 20 %, and Retry-After is obeyed to the second."""
    result = DeliveryResult(Outcome.RETRY, 503, asked)
    due = next_attempt(result, attempts, at(0), jitter)
    assert due is not None
    wait, planned = due - at(0), SCHEDULE[attempts]
    assert wait >= max(planned * (1 - JITTER), asked or timedelta(0))
    assert wait <= max(planned * (1 + JITTER), asked or timedelta(0))


def test_a_secret_that_is_none_is_named() -> None:
    """A secret that is not base64 is an error in words, without the secret."""
    with pytest.raises(ValueError, match="whsec_") as caught:
        sign(SecretStr("whsec_***"), "id", at(0), b"")
    assert "***" not in str(caught.value)
