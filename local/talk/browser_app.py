"""What the page's server answers, and to whom: nobody but the page itself gets a token.

Any web page that is open in the same browser can send requests to loopback, and a name that its
owner controls may lead there (DNS rebinding). So the Host must be ours, and a call is asked for by
our own page (Origin, Fetch Metadata) with the key that only the address on the terminal holds,
which keeps other users of this machine away, too.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from sip import tokens
from thirdring.access import LiveKitAccess
from thirdring.settings import Business, Line

__all__ = ["Page", "make_app"]

_FOLDER: Final = Path(__file__).with_name("page")
_FILES: Final = {
    "/": "index.html",
    "/talk.css": "talk.css",
    "/talk.js": "talk.js",
    "/call.js": "call.js",
    "/conversation.js": "conversation.js",
    "/levels.js": "levels.js",
    "/words.js": "words.js",
    "/meter.js": "meter.js",
    "/icon.svg": "icon.svg",
    "/livekit-client.js": "vendor/livekit-client.umd.js",
}
_VALIDITY: Final = timedelta(minutes=2)
"""The page enters at once; long enough for somebody who ponders over the microphone's question."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Page:
    """What one server offers.

    Attributes:
        key: Who shows it may call.
    """

    access: LiveKitAccess
    business: Business
    line: Line
    key: str = field(repr=False)

    async def about(self, _: web.Request) -> web.Response:
        """Say who will answer, and where livekit-server is; no secret."""
        return web.json_response(
            {"url": self.access.url, "line": self.line.number, "business": self.business.name}
        )

    async def call(self, request: web.Request) -> web.Response:
        """Give our page a token for one call."""
        _check_page(request)
        shown = request.headers.get("X-Thirdring-Key", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(shown, self.key.encode()):
            raise web.HTTPForbidden(text="no key: open the address that the terminal shows")
        minted = tokens.mint(self.access, self.line, validity=_VALIDITY)
        return web.json_response(minted.document(self.business))


async def _file(request: web.Request) -> web.StreamResponse:
    return web.FileResponse(_FOLDER / _FILES[request.path])


def make_app(page: Page) -> web.Application:
    """Return the application: the page's files, `GET /about` and `POST /call`."""
    app = web.Application(middlewares=[_guard], client_max_size=1024)
    app.on_response_prepare.append(_secure(page.access.url))
    app.add_routes([web.get(path, _file) for path in _FILES])
    app.add_routes([web.get("/about", page.about), web.post("/call", page.call)])
    return app


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if request.host not in _hosts(request):
        raise web.HTTPMisdirectedRequest(text="this page is for its own machine, by 127.0.0.1")
    return await handler(request)


def _hosts(request: web.Request) -> tuple[str, str]:
    assert request.transport is not None
    port = request.transport.get_extra_info("sockname")[1]
    return f"127.0.0.1:{port}", f"localhost:{port}"


def _check_page(request: web.Request) -> None:
    ours = request.headers.get("Origin") == f"http://{request.host}"
    # Sent by every browser of today; what sends no Origin either is no browser and has no key.
    if not ours or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise web.HTTPForbidden(text="only the page itself may call")


def _secure(livekit: str) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _policy(livekit),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }

    async def add(_: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    return add


def _policy(livekit: str) -> str:
    parts = urlsplit(livekit)
    secure = parts.scheme in {"wss", "https"}
    hosts = [parts.netloc.rpartition("@")[2]]
    if hosts[0].endswith(".livekit.cloud"):
        # LiveKit Cloud sends its clients on to the host of a region.
        hosts.append("*.livekit.cloud")
    schemes = ("wss", "https") if secure else ("ws", "http")
    reachable = " ".join(f"{scheme}://{host}" for host in hosts for scheme in schemes)
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' {reachable}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
