"""What is dialled is what was judged, whatever names mean in between."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
import trustme

from tests.peers.counts import tell
from tests.peers.raw_server import RawServer, answering
from tests.samples import LOOPBACK
from tests.thirdring.forbidden_urls import ADDRESSES, FORBIDDEN
from thirdring.egress import Network
from thirdring.errors import EgressRefused
from thirdring.guarded_http import resolve
from thirdring.sinks.webhook import open_client

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
# With a network in the list any name may be of it, and only its addresses tell.
INSIDE = ip_network("10.0.0.0/8")


@dataclass
class Names:
    """A resolver: each name has its addresses, one list per question; the last one stays."""

    known: dict[str, list[list[str]]]
    asked: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the next addresses of a host."""
        assert port
        self.asked.append(host)
        answers = self.known.get(host)
        if not answers:
            raise OSError(-2, "Name or service not known")
        return answers.pop(0) if len(answers) > 1 else answers[0]


@dataclass
class World:
    """A certificate authority that the client believes, and what it makes."""

    authority: trustme.CA = field(default_factory=trustme.CA)

    def server(self, *names: str) -> ssl.SSLContext:
        """Return what a server needs that has a certificate for `names`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(*names).configure_cert(context)
        return context

    @cached_property
    def believing(self) -> ssl.SSLContext:
        """Return what believes the authority."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@asynccontextmanager
async def client(
    world: World, names: Names, allowed: Sequence[Network] = (*LOOPBACK, INSIDE)
) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(allowed, tls=world.believing, resolve=names.resolve) as opened:
        yield opened


@asynccontextmanager
async def watching() -> AsyncIterator[tuple[RawServer, int]]:
    """Listen on IPv4 and IPv6 loopback, on one port."""
    async with answering(OK, host="127.0.0.1") as server:
        listener = await asyncio.start_server(
            lambda *_: server.connections.append("IPv6"), "::1", server.port
        )
        async with listener:
            yield server, server.port


async def test_no_forbidden_form_opens_a_connection(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not one of them reaches a server of this machine, nor asks for the address of a name."""
    names = Names({"localhost": [["127.0.0.1", "::1"]]})
    tried = 0
    async with watching() as (server, port), client(world, names, allowed=()) as http:
        for url in (url for forms in FORBIDDEN.values() for url in forms):
            tried += 1
            with pytest.raises(EgressRefused):
                await http.post(url.replace("PORT", str(port)), content=b"{}")
        assert (server.connections, names.asked) == ([], [])
    tell(capsys, f"connections to forbidden URLs: 0 of n={tried}")


async def test_a_name_with_a_forbidden_address_opens_no_connection(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bad address is enough, wherever it stands among good ones."""
    names, tried = Names({}), 0
    async with client(world, names, allowed=()) as http:
        for address in ADDRESSES:
            for found in ([address], ["192.5.6.30", address], [address, "192.5.6.30"]):
                names.known["records.example"] = [found]
                with pytest.raises(EgressRefused):
                    await http.post("https://records.example/", content=b"{}")
                tried += 1
    assert names.asked == ["records.example"] * tried
    tell(capsys, f"connections to names with a forbidden address: 0 of n={tried}")


async def test_a_name_that_changes_its_meaning_is_judged_anew(world: World) -> None:
    """First a receiver, then another address of this machine: the second goes nowhere."""
    names = Names({"records.example": [["127.0.0.2"], ["127.0.0.1"]]})
    only = (ip_network("127.0.0.2/32"), INSIDE)
    async with (
        answering(OK, tls=world.server("records.example"), host="127.0.0.2") as server,
        client(world, names, allowed=only) as http,
    ):
        url = f"https://records.example:{server.port}/"
        assert (await http.post(url, headers={"connection": "close"})).status_code == 204
        with pytest.raises(EgressRefused, match="leads to this machine"):
            await http.post(url)
    assert (names.asked, len(server.connections)) == (["records.example"] * 2, 1)


async def test_the_address_that_was_judged_is_the_one_dialled(world: World) -> None:
    """The name is asked for once; what it means a moment later does not matter."""
    names = Names({"records.example": [["127.0.0.3"], ["127.0.0.1"]]})
    async with (
        answering(OK, tls=world.server("records.example"), host="127.0.0.3") as server,
        client(world, names) as http,
    ):
        response = await http.post(f"https://records.example:{server.port}/")
        peer = response.extensions["network_stream"].get_extra_info("server_addr")
    assert (response.status_code, peer[0], len(names.asked)) == (204, "127.0.0.3", 1)


async def test_the_certificate_is_that_of_the_name(world: World) -> None:
    """By SNI the receiver is told its name, although an address is dialled."""
    names = Names({"records.example": [["127.0.0.1"]]})
    async with (
        answering(OK, tls=world.server("records.example")) as server,
        client(world, names) as http,
    ):
        response = await http.post(f"https://records.example:{server.port}/hook", content=b"{}")
        assert response.status_code == 204
    assert server.connections == ["records.example"]
    assert f"host: records.example:{server.port}".encode() in server.requests[0].lower()


@pytest.mark.parametrize("name", ["other.example", "127.0.0.1", "*.records.example"])
async def test_a_certificate_of_another_name_is_refused(world: World, name: str) -> None:
    """Also one for the address that is dialled."""
    names = Names({"records.example": [["127.0.0.1"]]})
    async with (
        answering(OK, tls=world.server(name)) as server,
        client(world, names) as http,
    ):
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.post(f"https://records.example:{server.port}/")
    assert server.requests == []


async def test_a_certificate_of_nobody_known_is_refused(world: World) -> None:
    """The usual authorities are believed, not whoever answers."""
    names = Names({"records.example": [["127.0.0.1"]]})
    async with (
        answering(OK, tls=world.server("records.example")) as server,
        open_client((*LOOPBACK, INSIDE), resolve=names.resolve) as http,
    ):
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.post(f"https://records.example:{server.port}/")


async def test_two_names_share_no_connection(world: World) -> None:
    """Although both are at one address, under one certificate."""
    names = Names({"a.example": [["127.0.0.1"]], "b.example": [["127.0.0.1"]]})
    async with (
        answering(OK, tls=world.server("a.example", "b.example")) as server,
        client(world, names) as http,
    ):
        for name in ("a.example", "b.example", "a.example", "b.example"):
            await http.post(f"https://{name}:{server.port}/")
    assert (server.connections, len(server.requests)) == (["a.example", "b.example"], 4)


async def test_the_next_address_is_tried(world: World) -> None:
    """A host of which one address is dead is reached at another."""
    names = Names({"records.example": [["127.0.0.9", "127.0.0.1"]]})
    async with (
        answering(OK, tls=world.server("records.example")) as server,
        client(world, names) as http,
    ):
        assert (await http.post(f"https://records.example:{server.port}/")).status_code == 204
    assert names.asked == ["records.example"]


async def test_a_name_without_an_address_is_an_error_of_the_connection(world: World) -> None:
    """As is one whose addresses are none at all."""
    async with client(world, Names({"none.example": [[]]})) as http:
        for name in ("unknown.example", "none.example"):
            with pytest.raises(httpx.ConnectError, match="has no address"):
                await http.post(f"https://{name}/")


async def test_a_resolver_that_hangs_is_given_up(world: World) -> None:
    """Its time counts as that of the connection."""

    async def hang(_: str, __: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with open_client(LOOPBACK, tls=world.believing, resolve=hang) as http:
        with pytest.raises(httpx.ConnectTimeout):
            await http.post("https://records.example/", timeout=0.05)


async def test_names_that_hang_leave_room_for_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as docs/courier.md says may hang; the next name is still looked up."""
    over, lookup = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *more: Any, **named: Any) -> Any:
        if host.startswith("silent"):
            over.wait(20)
            raise OSError(-3, "Temporary failure in name resolution")
        return lookup(host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    silent = [asyncio.create_task(resolve(f"silent{n}.example", 443)) for n in range(127)]
    try:
        async with asyncio.timeout(10):
            assert "127.0.0.1" in await resolve("localhost", 443)
        assert not any(each.done() for each in silent)
    finally:
        over.set()
        await asyncio.gather(*silent, return_exceptions=True)


async def test_no_proxy_of_the_environment_is_used(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would dial what it likes."""
    names = Names({"records.example": [["127.0.0.1"]]})
    async with answering(OK) as proxy, answering(OK, tls=world.server("records.example")) as server:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with client(world, names) as http:
            await http.post(f"https://records.example:{server.port}/")
            await http.post(f"http://127.0.0.1:{proxy.port}/direct")
    assert len(server.requests) == 1
    assert [request.split()[1] for request in proxy.requests] == [b"/direct"]


async def test_http_goes_to_this_machine_only(world: World) -> None:
    """What is called localhost and is not is refused when its address is known."""
    names = Names({"localhost": [["8.8.8.8"]]})
    async with client(world, names) as http:
        with pytest.raises(EgressRefused, match="http outside of this machine"):
            await http.post("http://localhost:8080/")


async def test_the_machines_own_resolver_answers() -> None:
    """localhost is known without any DNS."""
    async with answering(OK) as server, open_client(LOOPBACK) as http:
        assert (await http.post(f"http://localhost:{server.port}/")).status_code == 204
