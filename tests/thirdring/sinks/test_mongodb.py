"""Records as documents of a real server."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import AsyncMongoClient

from tests.peers.mongodb import needs_java, running_mongodb
from tests.peers.raw_server import answering
from tests.samples import at, ended, opened, spoken, used
from thirdring.calls import Role
from thirdring.record import Record, build
from thirdring.settings import MongoSettings
from thirdring.sinks.mongodb import MongoSink, document, is_understood, open_client
from thirdring.sinks.results import DeliveryResult, Outcome

# The driver leaves the sockets of handshakes that failed to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

DONE = DeliveryResult(Outcome.DELIVERED)
PASSWORD = "hunter2/canary"
QUOTED = "hunter2%2Fcanary"

CALL = build(
    (
        opened(),
        spoken(1, role=Role.AGENT, text="Hello."),
        spoken(2),
        used(3),
        ended(9),
    )
)


@pytest.fixture(autouse=True)
def garbage() -> Iterator[None]:
    """Have its warnings where they are expected."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running_mongodb() as number:
        yield number


def settings(url: str, collection: str = "calls") -> MongoSettings:
    return MongoSettings(url=SecretStr(url), database="clinic", collection=collection)


def body(record: Record = CALL, **changed: object) -> bytes:
    return json.dumps({**record.model_dump(mode="json"), **changed}).encode()


@pytest.fixture
async def sink(port: int, request: pytest.FixtureRequest) -> AsyncIterator[MongoSink]:
    # A collection for each test.
    chosen = settings(f"mongodb://127.0.0.1:{port}/", request.node.name.split("[")[0])
    async with open_client(chosen) as client:
        yield MongoSink(client, chosen)


async def stored(sink: MongoSink) -> list[dict[str, Any]]:
    """Return the documents as another client sees them."""
    url = sink.settings.url.get_secret_value()
    async with AsyncMongoClient[dict[str, Any]](url, tz_aware=True) as other:
        return await other["clinic"][sink.settings.collection].find({}).to_list()


@needs_java
async def test_a_call_is_one_document(sink: MongoSink) -> None:
    """Who, when, why it ended, and a row of role, content and time for every turn."""
    assert await sink.deliver(str(CALL.id), body(), at(10)) == DONE
    (call,) = await stored(sink)
    assert (call["_id"], call["record_id"]) == ("call-1", str(CALL.id))
    assert (call["organization"], call["workflow"]) == ("riverside_clinic", "patient_questions")
    assert (call["caller"], call["called"]) == ("+12025550199", "+12025550142")
    assert (call["opened_at"], call["ended_at"], call["answered_at"]) == (at(0), at(9), None)
    assert call["ending"]["reason"] == "caller_hung_up"
    assert call["tool_uses"][0]["name"] == "opening_hours"
    assert call["transcript"] == [
        {"role": "assistant", "content": "Hello.", "timestamp": "2026-11-20T15:00:01Z"},
        {"role": "user", "content": "Are you open today?", "timestamp": "2026-11-20T15:00:02Z"},
    ]


def test_a_document_holds_the_whole_record() -> None:
    """What is not named otherwise stands there as in the record, also what is added one day."""
    record = CALL.model_dump(mode="json")
    call = document(body(new_field={"a": 1}))
    renamed = {"call_id", "id", "business", "caller_number", "called_number", "turns"}
    assert record.keys() - renamed <= call.keys()
    assert call["new_field"] == {"a": 1}
    times = [datetime.fromisoformat(row["timestamp"]) for row in call["transcript"]]
    assert all(time.tzinfo == UTC for time in times)


def test_an_interrupted_turn_says_so() -> None:
    """Its row has a mark that others have not."""
    turns = [turn.model_dump(mode="json") for turn in CALL.turns]
    turns[0]["interrupted"] = True
    rows = document(body(turns=turns))["transcript"]
    assert [row.get("interrupted") for row in rows] == [True, None]


@needs_java
async def test_the_same_record_again_is_the_same_document(sink: MongoSink) -> None:
    """A repetition, and ten at one time, leave one document."""
    for _ in range(2):
        assert await sink.deliver(str(CALL.id), body(), at(10)) == DONE
    again = [sink.deliver(str(CALL.id), body(), at(10)) for _ in range(10)]
    assert [result.outcome for result in await asyncio.gather(*again)] == [Outcome.DELIVERED] * 10
    assert len(await stored(sink)) == 1


@needs_java
async def test_arguments_may_be_any_json(sink: MongoSink) -> None:
    """Names and numbers that MongoDB does not take are written in another way."""
    arguments = {"$where": 1, "a.b": {"c\0d": [2**70, -(2**63), 1.5, None, True]}, "": "💬"}
    use = {**CALL.tool_uses[0].model_dump(mode="json"), "arguments": arguments}
    assert await sink.deliver(str(CALL.id), body(tool_uses=[use]), at(10)) == DONE
    (call,) = await stored(sink)
    assert call["tool_uses"][0]["arguments"] == {
        "\uff04where": 1,
        "a\uff0eb": {"c\ufffdd": [str(2**70), -(2**63), 1.5, None, True]},
        "": "💬",
    }


@needs_java
@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"call_id": "x", "turns": 1}']
)
async def test_what_is_no_record_is_an_error_in_words(sink: MongoSink, text: bytes) -> None:
    """It never raises, and stores nothing."""
    result = await sink.deliver("id-1", text, at(0))
    assert result.outcome is Outcome.RETRY
    assert result.error
    assert result.error.startswith("MongoDB: ")
    assert await stored(sink) == []


@needs_java
async def test_what_is_too_large_is_an_error_in_words(sink: MongoSink) -> None:
    """A document has an end, at 16 MiB."""
    use = {**CALL.tool_uses[0].model_dump(mode="json"), "result": "x" * (17 * 1024 * 1024)}
    result = await sink.deliver(str(CALL.id), body(tool_uses=[use]), at(10))
    assert (result.outcome, await stored(sink)) == (Outcome.RETRY, [])


@needs_java
async def test_a_server_that_comes_back_gets_the_record() -> None:
    """The client finds it by itself."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    chosen = settings(f"mongodb://127.0.0.1:{port}/?serverSelectionTimeoutMS=100")
    async with open_client(chosen) as client:
        sink = MongoSink(client, chosen)
        away = await sink.deliver(str(CALL.id), body(), at(10))
        assert (away.outcome, away.status) == (Outcome.RETRY, None)
        assert away.error
        start = f"MongoDB: ServerSelectionTimeoutError: 127.0.0.1:{port}: "
        assert re.fullmatch(re.escape(start) + r"\[Errno \d+\] [\w ]+\(.+, \d+\)", away.error)
        with running_mongodb(port):
            async with asyncio.timeout(20):
                while (await sink.deliver(str(CALL.id), body(), at(10))) != DONE:
                    pass
            assert len(await stored(sink)) == 1


async def test_a_server_that_says_nothing_is_given_up() -> None:
    """The time of an attempt has an end of its own."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with answering(silent) as server:
        chosen = settings(f"mongodb://127.0.0.1:{server.port}/")
        async with open_client(chosen) as client:
            result = await MongoSink(client, chosen, timeout=0.1).deliver("id", body(), at(0))
    assert result == DeliveryResult(Outcome.RETRY, error="MongoDB: TimeoutError")


@needs_java
@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "127.0.0.1:1"])
async def test_the_password_is_in_no_error(
    port: int, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither where it is refused nor where nobody answers, nor in any log."""
    caplog.set_level(0)
    url = f"mongodb://anna:{QUOTED}@{host}/?serverSelectionTimeoutMS=100&authSource=admin"
    chosen = settings(url.replace("PORT", str(port)))
    async with open_client(chosen) as client:
        sink = MongoSink(client, chosen)
        result = await sink.deliver(str(CALL.id), body(), at(10))
    assert result.outcome is Outcome.RETRY
    told = f"{result.error} {sink.address} {sink!r} {caplog.text}"
    assert [word for word in (PASSWORD, QUOTED, "hunter2") if word in told] == []


@pytest.mark.parametrize(
    ("url", "understood"),
    [
        ("mongodb://127.0.0.1/", True),
        ("mongodb://a,b:27018/?replicaSet=x&tls=true", True),
        (f"mongodb://anna:{QUOTED}@host/", True),
        ("mongodb+srv://cluster.example/", True),
        (f"mongodb://anna:{PASSWORD}@host/", False),
        ("mongodb://host:port/", False),
        ("mongodb://host:0/", False),
        ("mongodb://[::1/", False),
        ("mongodb://a@b@host/", False),
        ("mongodb://host/?w=-5", False),
        ("mongodb://host/?serverTimeout=5", False),
        ("mongodb://host/?w=0&journal=false", False),
    ],
)
async def test_a_url_is_understood_or_not(url: str, understood: bool) -> None:
    """What the check of the configuration says is what opening it does."""
    assert is_understood(url) is understood
    if understood:
        async with open_client(settings(url)):
            return
    with pytest.raises(ValueError, match=r"\w") as caught:
        async with open_client(settings(url)):
            pass
    assert "hunter2" not in str(caught.value)


async def test_what_the_url_sets_stays(sink: MongoSink) -> None:
    """Our choices are for what it leaves open."""
    async with open_client(settings("mongodb://127.0.0.1/?w=1&appName=crm")) as client:
        assert client.write_concern.document == {"w": 1, "j": True}
        assert client.options.pool_options.appname == "crm"
    assert sink.client.write_concern.document == {"w": "majority", "j": True}
