"""Effects in another system, for which a real HTTP server stands."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from aiohttp import web

from tests.peers.declared_tools import TEXT, declared, having, text_answer
from tests.peers.endpoint import serving
from tests.peers.raw_server import answering
from tests.peers.scripted_llm import Call
from thirdring.outside_settings import HttpArgument
from thirdring.store import Store

EFFECT = {
    "method": "POST",
    "effect": True,
    "name": "cancel_order",
    "arguments": {
        "order": TEXT,
        "phone": HttpArgument(description="Where they can be reached."),
        "email": HttpArgument(description="Where to write."),
        "at": HttpArgument(description="When."),
    },
}
WANTED = {
    "order": "17",
    "phone": "202 555 0182",
    "email": "jane@example.com",
    "at": "2026-11-24T14:30",
}


async def test_an_effect_needs_a_yes(store: Store) -> None:
    """Nothing is sent until the caller has heard number, address and time, and agreed."""
    async with serving(text_answer("{}")) as endpoint:
        tool = declared(endpoint.url, **EFFECT)
        async with having(store, tool) as call:
            heard = await call.use("cancel_order", None, **WANTED)
            assert heard.startswith("REFUSED: Not done yet. Read this back")
            assert "2 0 2" in heard
            assert "jane at example dot com" in heard
            assert "2:30 PM" in heard
            assert endpoint.arrivals == []
            done = await call.agreed("cancel_order", "fc_9", **WANTED)
    assert done.startswith("Data from outside")
    (arrival,) = endpoint.arrivals
    assert arrival.headers["idempotency-key"] == "call-1:fc_9"
    assert json.loads(arrival.body) == WANTED


async def test_an_effect_is_done_once(store: Store) -> None:
    """A model that repeats it, by whatever tool call, hears the first answer again."""
    async with serving(text_answer('"one"'), text_answer('"two"')) as endpoint:
        tool = declared(endpoint.url, **EFFECT)
        async with having(store, tool) as call:
            first = await call.agreed("cancel_order", None, **WANTED)
            again = [await call.agreed("cancel_order", None, **WANTED) for _ in range(5)]
    assert set(again) == {first}
    assert len(endpoint.arrivals) == 1


async def test_an_effect_that_is_asked_for_twice_at_once_is_done_once(store: Store) -> None:
    """While the first is under way the others wait for its result."""
    there, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        there.set()
        await may_answer.wait()
        return web.Response(text='"one"', content_type="application/json")

    async with (
        serving(slow, text_answer('"two"')) as endpoint,
        having(store, declared(endpoint.url, **EFFECT)) as call,
    ):
        call.read_back(await call.use("cancel_order", None, **WANTED))
        calls = [Call("cancel_order", dict(WANTED), f"fc_{number}") for number in range(3)]
        asked = asyncio.create_task(call.use_at_once(*calls))
        await there.wait()
        while call.state.tool_calls < 1 + len(calls):  # noqa: ASYNC110 - it cannot be told
            await asyncio.sleep(0)
        may_answer.set()
        heard = await asked
    assert len(set(heard)) == 1
    assert "one" in heard[0]
    assert len(endpoint.arrivals) == 1


@pytest.mark.parametrize("answer", [500, 303])
async def test_an_effect_whose_result_is_not_known_is_not_repeated(
    store: Store, answer: int
) -> None:
    """When it may have been done, the model hears so and nothing is sent again."""
    async with serving(answer, text_answer("{}")) as endpoint:
        tool = declared(endpoint.url, **EFFECT)
        async with having(store, tool) as call:
            heard = [await call.agreed("cancel_order", None, **WANTED) for _ in range(3)]
    assert all(text.startswith("REFUSED: It is not known whether this was done.") for text in heard)
    assert len(endpoint.arrivals) == 1


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    del writer
    await reader.read()


async def test_an_effect_that_nobody_answers_is_sent_once(store: Store) -> None:
    """It may have been done: the model hears so, however often it asks."""
    async with answering(_silence) as there:
        url = f"http://127.0.0.1:{there.port}/cancel"
        async with having(store, declared(url, **EFFECT, timeout_seconds=0.5)) as call:
            heard = [await call.agreed("cancel_order", None, **WANTED) for _ in range(3)]
    assert all("It is not known whether this was done" in text for text in heard)
    assert len(there.requests) == 1


async def _no_content(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"}")
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_an_effect_that_was_never_sent_may_be_tried_again(store: Store) -> None:
    """Nobody listened the first time."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        tool = declared(f"http://127.0.0.1:{door.getsockname()[1]}/cancel", **EFFECT)
        async with having(store, tool) as call:
            refused = await call.agreed("cancel_order", None, **WANTED)
            async with await asyncio.start_server(_no_content, sock=door):
                done = await call.agreed("cancel_order", None, **WANTED)
    assert refused.startswith("REFUSED: That service does not answer right now.")
    assert done == "Done. The service said nothing more."


async def test_an_effect_that_was_refused_may_be_tried_again(store: Store) -> None:
    """What the service did not do is done the next time, under the same key."""
    async with serving(409, text_answer('"done"')) as endpoint:
        tool = declared(endpoint.url, **EFFECT)
        async with having(store, tool) as call:
            refused = await call.agreed("cancel_order", None, **WANTED)
            done = await call.agreed("cancel_order", None, **WANTED)
    assert refused.startswith("REFUSED: The service refused it (status 409)")
    assert "done" in done
    assert len({arrival.headers["idempotency-key"] for arrival in endpoint.arrivals}) == 1


async def test_an_effect_is_noted_in_the_store(store: Store) -> None:
    """Its key and its result outlast the call."""
    async with serving(text_answer('"done"')) as endpoint:
        tool = declared(endpoint.url, **EFFECT)
        async with having(store, tool) as call:
            await call.agreed("cancel_order", "fc_9", **WANTED)
    rows = await store.read(
        lambda connection: connection.execute("SELECT key, tool, result FROM effects").fetchall()
    )
    assert [(row["key"], row["tool"]) for row in rows] == [("call-1:fc_9", "cancel_order")]
    assert "done" in rows[0]["result"]
