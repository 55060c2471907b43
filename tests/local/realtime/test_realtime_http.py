"""The HTTP side: client secrets, browsers' keys, and what is not offered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from local.realtime.ephemeral import ClientSecrets
from local.realtime.protocol import Refusal
from local.realtime.server import RealtimeServer, Settings, serve

KEY = "the-key"
Event = dict[str, Any]


@pytest.fixture
async def server() -> AsyncIterator[RealtimeServer]:
    """A server that asks for a key."""
    async with serve(Settings(port=0, reflex=True, api_key=KEY)) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain client."""
    async with aiohttp.ClientSession() as session:
        yield session


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("GET /v1/models", (404, "not_found")),
        ("POST /v1/realtime/calls", (404, "not_found")),
        ("POST /v1/realtime/sessions", (404, "not_found")),
        ("DELETE /v1/realtime", (404, "not_found")),
        ("GET /", (404, "not_found")),
        ("GET /v1/realtime?model=m", (426, "upgrade_required")),
        ("GET /v1/realtime?intent=transcription", (400, "invalid_value")),
        ("GET /v1/realtime?call_id=rtc_1", (404, "call_not_found")),
    ],
)
async def test_what_is_not_offered_is_a_json_error(
    server: RealtimeServer, http: aiohttp.ClientSession, asked: str, expected: tuple[int, str]
) -> None:
    """Its shape is that of OpenAI's errors, and its message says what there is."""
    method, path = asked.split(" ")
    address = server.url.removesuffix("/v1") + path
    async with http.request(method, address, headers=bearer(KEY)) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"]) == expected
    assert error["type"] == "invalid_request_error"
    assert error["message"]


async def test_the_client_says_what_is_not_offered(server: RealtimeServer) -> None:
    """OpenAI's client raises its own NotFoundError with our message."""
    async with AsyncOpenAI(api_key=KEY, base_url=server.url, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match="not offered by the local model"):
            await client.models.list()


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ("{", "invalid_json", None),
        ("[]", "invalid_json", None),
        ("[" * 5000, "invalid_json", None),
        ('{"session": {"tracing": ' + "[" * 100 + "]" * 100 + "}}", "invalid_json", None),
        ('{"session": {"instructions": "\\ud83d"}}', "invalid_json", None),
        ('{"session": 3}', "invalid_value", "session"),
        ('{"session": {"type": "realtime", "colour": 1}}', "unknown_parameter", "session.colour"),
        ('{"expires_after": {"seconds": 5}}', "invalid_value", "expires_after.seconds"),
        ('{"lifetime": 5}', "unknown_parameter", "lifetime"),
    ],
)
async def test_a_wrong_secret_is_refused(
    server: RealtimeServer, http: aiohttp.ClientSession, body: str, code: str, param: str | None
) -> None:
    """400, with the field that is wrong."""
    address = f"{server.url}/realtime/client_secrets"
    async with http.post(address, data=body, headers=bearer(KEY)) as response:
        error = (await response.json())["error"]
    assert (response.status, error["code"], error["param"]) == (400, code, param)


async def test_a_browser_sends_its_secret_as_a_subprotocol(
    server: RealtimeServer, http: aiohttp.ClientSession
) -> None:
    """The handshake confirms `realtime`; the session has the model that the secret was made for."""
    address = f"{server.url}/realtime/client_secrets"
    body = {"session": {"type": "realtime", "model": "made-for"}}
    async with http.post(address, json=body, headers=bearer(KEY)) as response:
        secret = (await response.json())["value"]
    offered = ("realtime", f"openai-insecure-api-key.{secret}")
    async with http.ws_connect(f"{server.url}/realtime", protocols=offered) as socket:
        assert socket.protocol == "realtime"
        assert (await socket.receive_json())["session"]["model"] == "made-for"


async def test_a_secret_makes_no_secrets(
    server: RealtimeServer, http: aiohttp.ClientSession
) -> None:
    """Only the key itself does; and a made-up secret opens nothing."""
    address = f"{server.url}/realtime/client_secrets"
    async with http.post(address, json={}, headers=bearer(KEY)) as response:
        secret = (await response.json())["value"]
    async with http.post(address, json={}, headers=bearer(secret)) as response:
        assert response.status == 401
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{server.url}/realtime", headers=bearer("ek_made_up"))
    assert refused.value.status == 401


def test_a_secret_expires() -> None:
    """It is valid until its last second, and forgotten when the next one is made."""
    now = 1000.0
    secrets = ClientSecrets(lambda: now)
    value = secrets.create({"expires_after": {"seconds": 10}})["value"]
    now = 1009.9
    assert secrets.settings(value) is not None
    now = 1010.0
    assert secrets.settings(value) is None
    secrets.create({})
    assert value not in secrets._known


def test_secrets_are_counted() -> None:
    """A thousand are valid at a time; one more is made as soon as they have expired."""
    now = 1000.0
    secrets = ClientSecrets(lambda: now)
    for _ in range(1000):
        secrets.create({"expires_after": {"seconds": 10}})
    with pytest.raises(Refusal, match="1000 client secrets"):
        secrets.create({})
    now = 1010.0
    secrets.create({})


async def test_a_key_is_not_logged(
    server: RealtimeServer, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Offered without `realtime` beside it, it is refused in words that do not repeat it."""
    offered = (f"openai-insecure-api-key.{KEY}",)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{server.url}/realtime", protocols=offered)
    assert refused.value.status == 400
    assert KEY not in caplog.text


@pytest.mark.parametrize("path", ["GET /v1/realtime", "POST /v1/realtime/client_secrets"])
async def test_a_key_that_is_no_text_is_a_wrong_key(server: RealtimeServer, path: str) -> None:
    """Bytes that are not UTF-8 are answered like any other key that is not ours."""
    address = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"{path} HTTP/1.1\r\nHost: local\r\nContent-Length: 0\r\n"
    try:
        writer.write(head.encode() + b"Authorization: Bearer \xff\xfe\r\n\r\n")
        async with asyncio.timeout(20):
            assert (await reader.readline()).split()[1] == b"401"
    finally:
        writer.close()
        await writer.wait_closed()
