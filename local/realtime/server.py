"""The HTTP side: sessions and client secrets with an optional key, health, start and stop."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web

from local.realtime.brain import Brain
from local.realtime.brain.chat import ChatBrain
from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load_all
from local.realtime.configuration import Configuration, ServerVad
from local.realtime.ephemeral import PREFIX, ClientSecrets
from local.realtime.protocol import Refusal, SlowClient, json_object, new_id
from local.realtime.reflex import ReflexBrain, ReflexEars, ReflexScribe, ToneVoice
from local.realtime.session import Engine, RealtimeSession
from local.realtime.turns import VadEars
from thirdring.errors import PartError

__all__ = ["ChatModel", "RealtimeServer", "Settings", "serve", "speech_engine"]

logger = logging.getLogger(__name__)

_MAX_FRAME = 16 * 1024 * 1024
_GOODBYE_SECONDS = 1.0
"""How long connections may take to close when the server stops."""


@dataclass(frozen=True)
class ChatModel:
    """Where a chat model answers."""

    base_url: str
    model: str
    api_key: str | None = None


@dataclass(frozen=True)
class Settings:
    """How one server runs.

    Attributes:
        port: 0 for a free one.
        api_key: What clients must send as their bearer token; None lets everybody in.
        chat_model: Answers instead of the scripts.
        greeting_seconds: Length of the reflex's greeting tone.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    api_key: str | None = None
    reflex: bool = False
    chat_model: ChatModel | None = None
    workflows: Path = Path("workflows")
    greeting_seconds: float = 10.0

    @property
    def mode(self) -> Literal["script", "llm", "reflex"]:
        """What answers."""
        if self.reflex:
            return "reflex"
        return "llm" if self.chat_model is not None else "script"


@dataclass
class RealtimeServer:
    """A server that listens.

    Attributes:
        url: For `RealtimeModel(base_url=...)`.
    """

    url: str
    _settings: Settings
    _engine: Engine
    _sockets: set[web.WebSocketResponse] = field(default_factory=set)
    _secrets: ClientSecrets = field(default_factory=ClientSecrets)

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self._sockets)

    async def health(self, request: web.Request) -> web.Response:
        """Answer once everything is loaded and warm; before, nothing listens."""
        del request
        return web.json_response(
            {"status": "ok", "mode": self._settings.mode, "sessions": self.sessions}
        )

    async def realtime(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection."""
        token = _token(request)
        settings = self._secrets.settings(token)
        if settings is None and not self._is_key(token):
            return _unauthorized()
        if problem := _not_served(request):
            return problem
        # A browser can send its key as a subprotocol only, and wants one of them confirmed.
        socket = web.WebSocketResponse(
            max_msg_size=_MAX_FRAME,
            heartbeat=20,
            timeout=_GOODBYE_SECONDS,
            protocols=("realtime",),
        )
        if not socket.can_prepare(request).ok:
            why = "Sessions are WebSockets: send this request with `Upgrade: websocket`."
            return _refused(426, "upgrade_required", why)
        await socket.prepare(request)
        self._sockets.add(socket)
        begin = {"id": new_id("sess")}
        if model := request.query.get("model"):
            begin["model"] = model
        configuration = (settings or Configuration()).model_copy(update=begin)
        logger.info("connected: %s, model %r", request.remote, configuration.model)
        session = RealtimeSession(self._engine, configuration, socket.send_str)
        try:
            await session.run(_frames(socket))
        except SlowClient as error:
            logger.warning("dropped %s: %s", request.remote, error)
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"events left unread")
        finally:
            self._sockets.discard(socket)
            logger.info("disconnected: %s", request.remote)
        return socket

    async def create_secret(self, request: web.Request) -> web.Response:
        """Answer `POST /v1/realtime/client_secrets`; only who has the key itself may ask."""
        if not self._is_key(_token(request)):
            return _unauthorized()
        try:
            body = json_object(await request.text(), "body")
            return web.json_response(self._secrets.create(body))
        except UnicodeDecodeError as error:
            return _refused(400, "invalid_json", f"The body is not text: {error}")
        except Refusal as refusal:
            return _refused(400, refusal.code, str(refusal), param=refusal.param)

    def _is_key(self, token: str) -> bool:
        key = self._settings.api_key
        if key is None:
            return not token.startswith(PREFIX)
        # What is not UTF-8 comes as surrogates.
        return hmac.compare_digest(token.encode(errors="surrogateescape"), key.encode())

    async def close(self) -> None:
        """Tell every client that the server goes."""
        goodbyes = (
            socket.close(code=WSCloseCode.GOING_AWAY, message=b"server stops")
            for socket in self._sockets
        )
        await asyncio.gather(*goodbyes)


async def _frames(socket: web.WebSocketResponse) -> AsyncIterator[str | bytes]:
    async for message in socket:
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            yield message.data


_KEY_PROTOCOL = "openai-insecure-api-key."


def _token(request: web.Request) -> str:
    sent = request.headers.get("Authorization", "")
    if sent.startswith("Bearer "):
        return sent.removeprefix("Bearer ")
    names = _offered(request)
    return next((n.removeprefix(_KEY_PROTOCOL) for n in names if n.startswith(_KEY_PROTOCOL)), "")


def _offered(request: web.Request) -> list[str]:
    """Return the subprotocols that a client would speak."""
    names = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    return [name.strip() for name in names if name.strip()]


def _not_served(request: web.Request) -> web.Response | None:
    if (offered := _offered(request)) and "realtime" not in offered:
        # aiohttp would log what was offered, and with it the key.
        why = "Offer the subprotocol `realtime`, beside that with the key."
        return _refused(400, "invalid_value", why, param="Sec-WebSocket-Protocol")
    if request.query.get("intent", "conversation") != "conversation":
        why = "Only conversations are served: leave `intent` out."
        return _refused(400, "invalid_value", why, param="intent")
    if "call_id" in request.query:
        why = "There are no calls to join: this server takes none by SIP or WebRTC."
        return _refused(404, "call_not_found", why, param="call_id")
    return None


async def _unknown(request: web.Request) -> web.Response:
    why = (
        f"{request.method} {request.path[:200]} is not offered by the local model, which has "
        "GET /v1/realtime (a WebSocket), POST /v1/realtime/client_secrets and GET /healthz."
    )
    return _refused(404, "not_found", why)


def _unauthorized() -> web.Response:
    why = "Incorrect, expired or missing API key: send `Authorization: Bearer <key>`."
    return _refused(401, "invalid_api_key", why)


def _refused(status: int, code: str, why: str, *, param: str | None = None) -> web.Response:
    error = {"type": "invalid_request_error", "code": code, "message": why, "param": param}
    return web.json_response({"error": error}, status=status)


@asynccontextmanager
async def speech_engine(brain: Brain) -> AsyncIterator[Engine]:
    """Load the models and run each once, for a first run is several times slower."""
    # The models' packages belong to a dependency group that the reflex does without.
    from local.realtime.hearing import Moonshine, SileroModel  # noqa: PLC0415
    from local.realtime.voice import Piper  # noqa: PLC0415

    silero, moonshine, piper = SileroModel(), Moonshine(), Piper()
    try:
        engine = Engine(lambda: VadEars(silero.stream()), moonshine, brain, piper)
        speech = await piper.say("Hello. How can I help you today?")
        ears = engine.ears()
        await ears.listen(speech, ServerVad(type="server_vad"))
        await moonshine.transcribe(ears.collected())
        yield engine
    finally:
        silero.close()
        moonshine.close()
        piper.close()


@asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[Engine]:
    if settings.reflex:
        voice = ToneVoice(settings.greeting_seconds)
        yield Engine(ReflexEars, ReflexScribe(), ReflexBrain(), voice)
        return
    async with AsyncExitStack() as stack:
        brain: Brain
        if settings.chat_model is not None:
            http = await stack.enter_async_context(aiohttp.ClientSession())
            chat = settings.chat_model
            brain = ChatBrain(http, chat.base_url, chat.model, chat.api_key)
        else:
            brain = ScriptBrain(load_all(settings.workflows))
        yield await stack.enter_async_context(speech_engine(brain))


@asynccontextmanager
async def serve(settings: Settings, engine: Engine | None = None) -> AsyncIterator[RealtimeServer]:
    """Listen until the context ends.

    Args:
        engine: What hears, decides and speaks; loaded as the settings say when None.

    Raises:
        ConfigError: A script is wrong.
        PartError: The port is taken.
    """
    async with AsyncExitStack() as stack:
        if engine is None:
            engine = await stack.enter_async_context(_engine(settings))
        server = RealtimeServer("", settings, engine)
        app = web.Application()
        app.router.add_get("/healthz", server.health)
        app.router.add_get("/v1/realtime", server.realtime)
        app.router.add_post("/v1/realtime/client_secrets", server.create_secret)
        app.router.add_route("*", "/{path:.*}", _unknown)
        runner = web.AppRunner(app, shutdown_timeout=_GOODBYE_SECONDS, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(server.close)
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise PartError(
                f"local realtime server: cannot listen on {settings.host}:{settings.port}: "
                f"{error.strerror}; stop what listens there or choose another --port"
            ) from None
        port = runner.addresses[0][1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        server.url = f"http://{host}:{port}/v1"
        yield server
