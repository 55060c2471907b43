"""LiveKit's server webhooks, as the courier receives them.

They make known the calls that no job ever took: behind livekit-sip nothing else of ours sees those.
livekit-server sends the events of one room one after another, tries each five times within 15 s
when it is answered 5xx or not at all, and then forgets it (protocol/webhook, go-retryablehttp).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from aiohttp import web
from google.protobuf.json_format import ParseError
from livekit import api

from sip.ringing import Patience, RingingCalls, ringing_calls
from thirdring.access import LIVEKIT_VARIABLES, LiveKitAccess, port, require, require_free
from thirdring.clock import Clock, SystemClock
from thirdring.errors import PhoneError, StoreError
from thirdring.home import Home
from thirdring.settings import Settings
from thirdring.store import open_store

__all__ = ["PATH", "PORT_VARIABLE", "Endpoint", "endpoint", "receiving"]

logger = logging.getLogger(__name__)

PATH: Final = "/livekit"
PORT_VARIABLE: Final = "THIRDRING_COURIER_PORT"
_HOST_VARIABLE: Final = "THIRDRING_COURIER_HOST"

# Metadata of room and participant and its attributes: 64,000 bytes each at most by default
# (livekit-server, `limit`), and quotes within them take two.
_LONGEST_BODY: Final = 512 * 1024
_BODY_SECONDS: Final = 10.0
# An event's token is valid for 5 min, and clocks may differ by 1 min (both fixed in the SDKs).
_VALIDITY: Final = timedelta(minutes=6)
_MOST_REMEMBERED: Final = 100_000


@dataclass(frozen=True)
class Endpoint:
    """Where the courier listens for livekit-server, and whose signature counts."""

    host: str
    port: int
    access: LiveKitAccess


def endpoint(environ: Mapping[str, str]) -> Endpoint | None:
    """Return where to listen; None when no port is set.

    Raises:
        ConfigError: The port is none, or a variable that leads to livekit-server is missing.
        PhoneError: Somebody listens there already.
    """
    number = port(environ, PORT_VARIABLE, default=0)
    if not number:
        return None
    require(environ, *LIVEKIT_VARIABLES)
    host = environ.get(_HOST_VARIABLE) or "127.0.0.1"
    require_free(host, number, PORT_VARIABLE)
    return Endpoint(host, number, LiveKitAccess.from_environment(environ))


@asynccontextmanager
async def receiving(
    home: Home,
    settings: Callable[[], Settings],
    environ: Mapping[str, str],
    *,
    clock: Clock | None = None,
    patience: Patience | None = None,
) -> AsyncIterator[None]:
    """Receive events for as long as the context lasts; without a port that is set, none.

    Enter it before journals are collected: those that another courier held are held again by then.

    Args:
        settings: Returns those that count now.

    Raises:
        ConfigError: As `endpoint` does, or the home's id cannot be used.
        PhoneError: The port is taken.
    """
    where = endpoint(environ)
    if where is None:
        yield
        return
    clock = clock or SystemClock()
    async with (
        open_store(home, environ) as store,
        ringing_calls(home, settings, store, clock, where.access, patience=patience) as calls,
        _listening(where, _Receiver(where.access, calls, clock)),
    ):
        logger.info("listening for livekit-server on http://%s:%d%s", where.host, where.port, PATH)
        yield


@asynccontextmanager
async def _listening(where: Endpoint, receiver: _Receiver) -> AsyncIterator[None]:
    app = web.Application(client_max_size=_LONGEST_BODY)
    # The health page is as bare as the worker's.
    app.add_routes([web.get("/", _health), web.post(PATH, receiver.receive)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, where.host, where.port).start()
        except OSError as error:
            raise PhoneError(
                f"the courier cannot listen on {where.host}:{where.port} ({error.strerror}): set "
                f"{PORT_VARIABLE} to another port"
            ) from error
        yield
    finally:
        await runner.cleanup()


async def _health(_: web.Request) -> web.Response:
    return web.Response(text="OK")


class _Receiver:
    def __init__(self, access: LiveKitAccess, calls: RingingCalls, clock: Clock) -> None:
        self._verifier = api.TokenVerifier(access.api_key, access.api_secret.get_secret_value())
        self._webhook = api.WebhookReceiver(self._verifier)
        self._calls = calls
        self._clock = clock
        self._seen = _Seen()
        self._refusals = 0
        self._said_at = -math.inf

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one event: 200 once all that follows from it is on disk."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self._check(token)
        event = self._parse(await _body(request), token)
        now = self._clock.now()
        # Not as a datetime: the number may be of any year.
        if abs(now.timestamp() - event.created_at) > _VALIDITY.total_seconds():
            raise self._refused("it is of another time; are the clocks of both machines right?")
        if not self._seen.is_new(event.id, now):
            return web.Response(text="seen")
        try:
            await self._calls.handle(event)
        except (OSError, StoreError) as error:
            # livekit-server tries again for some seconds.
            logger.exception("an event of livekit-server could not be acted upon: %s", event.event)
            raise web.HTTPServiceUnavailable from error
        self._seen.add(event.id, now)
        return web.Response(text="OK")

    def _check(self, token: str) -> None:
        try:
            self._verifier.verify(token)
        except Exception as error:  # the SDK lets all that PyJWT raises through, and more
            raise self._refused(str(error) or type(error).__name__) from error

    def _parse(self, body: bytes, token: str) -> api.WebhookEvent:
        try:
            event = self._webhook.receive(body.decode(), token)
        except (ParseError, RecursionError, UnicodeDecodeError) as error:
            raise web.HTTPBadRequest(text="this is no event of LiveKit") from error
        except Exception as error:  # "hash mismatch" is a bare one
            raise self._refused(str(error) or type(error).__name__) from error
        if not event.id or not event.event or event.created_at <= 0:
            raise web.HTTPBadRequest(text="an event has a name, an id and a time")
        return event

    def _refused(self, why: str) -> web.HTTPUnauthorized:
        self._refusals += 1
        # Whoever sends many of them shall not fill the disk with our log.
        if time.monotonic() - self._said_at >= 1:
            self._said_at = time.monotonic()
            logger.warning(
                "an event that says to be of livekit-server is refused, %d so far: %s",
                self._refusals,
                why,
            )
        return web.HTTPUnauthorized(text="not signed with our key for this body and time")


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


class _Seen:
    """Which events were acted upon, for as long as somebody could send them again."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, datetime] = OrderedDict()

    def is_new(self, event_id: str, now: datetime) -> bool:
        while self._ids and (
            len(self._ids) > _MOST_REMEMBERED
            or now - next(iter(self._ids.values())) > 2 * _VALIDITY
        ):
            self._ids.popitem(last=False)
        return event_id not in self._ids

    def add(self, event_id: str, now: datetime) -> None:
        self._ids[event_id] = now
