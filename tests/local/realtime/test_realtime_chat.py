"""A chat model in the script's place: a real HTTP server that streams chat completion chunks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from local.realtime.brain.chat import ChatBrain
from local.realtime.reflex import ReflexEars, ReflexScribe, ToneVoice
from local.realtime.server import Settings, serve
from local.realtime.session import Engine

if TYPE_CHECKING:
    from tests.local.realtime.conftest import Client, Connect, Event

SAID = [{"content": "We are open. "}, {"content": "Until 5"}, {"content": " PM."}]
CALLED = [
    {"tool_calls": [{"index": 0, "id": "x", "function": {"name": "find_slots", "arguments": ""}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"day": '}}]},
    {"tool_calls": [{"index": 0, "function": {"arguments": '"monday"}'}}]},
]


class ChatServer:
    """Answers every request with the same deltas and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.deltas: list[dict[str, Any]] = SAID
        self.status = 200
        self.lines: tuple[bytes, ...] = (b"data: [DONE]",)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.keys.append(request.headers.get("Authorization"))
        if self.status != 200:
            return web.Response(status=self.status, text="overloaded")
        response = web.StreamResponse()
        await response.prepare(request)
        for delta in self.deltas:
            chunk = {"choices": [{"index": 0, "delta": delta}]}
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        for line in self.lines:
            await response.write(line + b"\n\n")
        return response


@pytest.fixture
async def chat_server() -> AsyncIterator[tuple[ChatServer, str]]:
    """A chat server and its base URL."""
    server, app = ChatServer(), web.Application()
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield server, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


@pytest.fixture
async def client(chat_server: tuple[ChatServer, str], connect: Connect) -> AsyncIterator[Client]:
    """A text session whose brain is that server."""
    async with aiohttp.ClientSession() as http:
        brain = ChatBrain(http, chat_server[1], "tiny", "k")
        engine = Engine(ReflexEars, ReflexScribe(), brain, ToneVoice())
        async with serve(Settings(port=0), engine) as server, connect(server) as connected:
            tool = {"type": "function", "name": "find_slots", "parameters": {"type": "object"}}
            await connected.configure(
                instructions="Be kind.", tools=[tool], output_modalities=["text"]
            )
            yield connected


async def test_the_model_hears_the_conversation_and_its_words_are_said(
    client: Client, chat_server: tuple[ChatServer, str]
) -> None:
    """Instructions, history and tools go out; the streamed sentences come back whole."""
    assert await client.answer("When are you open?") == "We are open. Until 5 PM."
    asked = chat_server[0].asked[0]
    assert asked["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "When are you open?"},
    ]
    assert asked["tools"][0]["function"]["name"] == "find_slots"
    assert (asked["model"], chat_server[0].keys) == ("tiny", ["Bearer k"])


async def test_a_call_of_the_model_and_its_result(
    client: Client, chat_server: tuple[ChatServer, str]
) -> None:
    """Argument pieces make one call; call and result are told in the next request."""
    chat_server[0].deltas = CALLED
    call: Event = (await client.ask("Monday?"))["response"]["output"][0]
    assert (call["name"], json.loads(call["arguments"])) == ("find_slots", {"day": "monday"})
    chat_server[0].deltas = SAID
    await client.result(call, "9 AM")
    sent = chat_server[0].asked[1]["messages"][-2:]
    assert sent[0]["tool_calls"][0]["id"] == call["call_id"]
    assert sent[1] == {"role": "tool", "tool_call_id": call["call_id"], "content": "9 AM"}


async def test_an_endpoint_that_refuses_fails_the_response(
    client: Client, chat_server: tuple[ChatServer, str]
) -> None:
    """The response is failed with what the endpoint said, and the session goes on."""
    chat_server[0].status = 503
    response = (await client.ask("Hello?"))["response"]
    assert response["status"] == "failed"
    assert "503: overloaded" in response["status_details"]["error"]["message"]
    chat_server[0].status = 200
    assert await client.answer("Hello?") == "We are open. Until 5 PM."


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'data: {"error": {"message": "out of memory"}}', "out of memory"),
        (b'data: {"choices": [{"delta": {"content": [1]}}]}', "not a chat completion chunk"),
        (b'data: {"choices": [{"delta": {"tool_calls": ["x"]}}]}', "not a chat completion chunk"),
        (b"data: {", "not a chat completion chunk"),
        pytest.param(b"data: " + b"x" * 1_000_000, "127.0.0.1", id="endless"),
    ],
)
async def test_a_stream_that_makes_no_sense_fails_the_response(
    client: Client, chat_server: tuple[ChatServer, str], line: bytes, why: str
) -> None:
    """What was said before stays said, the response is failed with the reason."""
    chat_server[0].lines = (line,)
    response = (await client.ask("Hello?"))["response"]
    assert response["status"] == "failed"
    assert why in response["status_details"]["error"]["message"]
    chat_server[0].lines = (b'data: {"choices": null}', b"data:[DONE]")
    assert await client.answer("Hello?") == "We are open. Until 5 PM."


async def test_an_endpoint_that_is_not_there_fails_the_response(
    unused_tcp_port_factory: Callable[[], int], connect: Connect
) -> None:
    """Nobody listening is a failed response that names the address."""
    url = f"http://127.0.0.1:{unused_tcp_port_factory()}/v1"
    async with aiohttp.ClientSession() as http:
        engine = Engine(ReflexEars, ReflexScribe(), ChatBrain(http, url, "tiny"), ToneVoice())
        async with serve(Settings(port=0), engine) as server, connect(server) as connected:
            error = (await connected.ask("Hello?"))["response"]["status_details"]["error"]
    assert error["code"] == "llm_unavailable"
    assert url in error["message"]
