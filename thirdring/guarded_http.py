"""HTTP that reaches no address but one that was judged just before.

A name is resolved here, every address it has is judged, and one of these is dialled: what the name
means a moment later, to anybody else, does not matter (DNS rebinding). The pool of connections
still knows the host by its name alone, so that certificate and SNI are those of the name, and no
connection serves two names.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Final

import httpcore
import httpx

from thirdring.egress import Network, Target, check_address, check_url

__all__ = ["GuardedClient", "Resolve", "authorities", "resolve"]

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, best first; raises OSError."""

_NEXT_ADDRESS_SECONDS: Final = 2.0

# Of its own: a name whose servers are silent holds a thread for half a minute, and asyncio's few
# are for everything else.
_RESOLVING: Final = ThreadPoolExecutor(128, thread_name_prefix="resolving")


@cache
def authorities() -> ssl.SSLContext:
    """Return whom to believe by default; to read them takes a while, the first time."""
    return httpx.create_ssl_context()


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the machine's resolver."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVING, ask)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedClient(httpx.AsyncClient):
    """Reaches what `thirdring.egress` lets through: no redirects, no cookies, no proxies.

    A proxy of the environment would dial what it likes, so none is used.

    Args:
        allowed: Networks inside that it may reach.
        tls: Whom to believe.
        resolve: The machine's resolver unless told otherwise.

    Raises:
        EgressRefused: From a request that may not be sent; the rest are httpx's own errors.
    """

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        limits: httpx.Limits,
        timeout: float,
        tls: ssl.SSLContext,
        resolve: Resolve = resolve,
    ) -> None:
        self._allowed = tuple(allowed)
        plain, encrypted = (
            _GuardedTransport(self._allowed, plain=plain, limits=limits, tls=tls, resolve=resolve)
            for plain in (True, False)
        )
        super().__init__(
            timeout=timeout,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            transport=encrypted,
            mounts={"http://": plain},
            trust_env=False,
        )

    def build_request(self, method: str, url: httpx.URL | str, **more: Any) -> httpx.Request:
        """Judge the URL as it was written: httpx mends what others would read in another way."""
        check_url(str(url), self._allowed)
        return super().build_request(method, url, **more)

    @asynccontextmanager
    async def sending(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """Send once and yield the answer, of which nothing has been read but its head.

        As `stream` does, without what httpx adds for those who log in, follow redirects or keep
        cookies: a fifth of all that a delivery costs. Nor does httpx log the URL, which may hold
        what a caller said.

        Raises:
            EgressRefused: Nothing may be sent there.
            httpx.HTTPError: It did not come about.
        """
        check_url(url, self._allowed)
        limits = {"timeout": self.timeout.as_dict()}
        request = httpx.Request(method, url, content=body, headers=headers, extensions=limits)
        response = await self._transport_for_url(request.url).handle_async_request(request)
        try:
            yield response
        finally:
            await response.aclose()


class _GuardedTransport(httpx.AsyncHTTPTransport):
    """Sends by one scheme."""

    def __init__(
        self,
        allowed: Sequence[Network],
        *,
        plain: bool,
        limits: httpx.Limits,
        tls: ssl.SSLContext,
        resolve: Resolve,
    ) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._allowed = tuple(allowed)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_GuardedNetwork(self._allowed, resolve, plain=plain),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check_url(str(request.url), self._allowed)
        response = await super().handle_async_request(request)
        if response.has_redirect_location:
            # Not followed in any case, and what is wrong with it must not hide the status.
            del response.headers["location"]
        return response


class _GuardedNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, allowed: Sequence[Network], resolve: Resolve, *, plain: bool) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._plain = plain
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._judged(Target(host, port, self._plain))
                for address in addresses[:-1]:
                    # One that does not answer must not use up the time of the next.
                    with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                        return _Stream(
                            await self._network.connect_tcp(
                                address, port, _NEXT_ADDRESS_SECONDS, local_address, socket_options
                            )
                        )
                return _Stream(
                    await self._network.connect_tcp(
                        addresses[-1], port, None, local_address, socket_options
                    )
                )
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error

    async def _judged(self, target: Target) -> Sequence[str]:
        """Return the addresses that may be dialled: all that the host has, or none."""
        if target.address is not None:
            found: Sequence[str] = [target.host]
        else:
            try:
                found = await self._resolve(target.host, target.port)
            except OSError as error:
                raise httpcore.ConnectError(f"the host has no address: {error.strerror}") from error
        if not found:
            raise httpcore.ConnectError("the host has no address")
        for address in found:
            check_address(ip_address(address), target, self._allowed)
        return found


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that is closed when TLS does not come about in time.

    httpcore closes it after an error only, and so would leave open, for each attempt that is given
    up meanwhile, one that nobody has any more.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self.read = stream.read  # type: ignore[method-assign]
        self.write = stream.write  # type: ignore[method-assign]
        self.aclose = stream.aclose  # type: ignore[method-assign]
        self.get_extra_info = stream.get_extra_info  # type: ignore[method-assign]

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            await self._stream.aclose()
            raise
