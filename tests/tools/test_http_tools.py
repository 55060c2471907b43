"""Tools that a business declares: what they send, to a real HTTP server on loopback."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from aiohttp import web

from tests.peers.counts import tell
from tests.peers.declared_tools import SECRET, TEXT, base, declared, having, text_answer, used
from tests.peers.endpoint import serving
from tests.peers.tool_calls import calling
from thirdring.outside_settings import HttpArgument
from thirdring.store import Store
from tools.http_tools import http_tool


async def test_what_the_service_says_is_heard_as_data(store: Store) -> None:
    """The answer is quoted, after what the file says to do with it."""
    async with serving(text_answer('{"status": "shipped"}')) as endpoint:
        tool = declared(f"{base(endpoint)}/orders/{{order}}", then="Say where it is.")
        heard = await used(store, endpoint, tool, order="A 17")
    assert heard.startswith("Say where it is.\nData from outside")
    assert json.loads(heard.partition(": ")[2]) == '{"status": "shipped"}'
    (arrival,) = endpoint.arrivals
    assert arrival.path == "/orders/A 17"
    assert arrival.headers["authorization"] == f"Bearer {SECRET}"
    assert arrival.headers["accept-encoding"] == "identity"


ODD_VALUES = [
    "../../admin",
    "..",
    ".",
    "a/b",
    "a\\b",
    "%2e%2e%2fadmin",
    "x?admin=1",
    "x#y",
    "x;y=1",
    "@evil.example",
    "//evil.example/",
    "http://169.254.169.254/",
    "",
    "x\r\nHost: evil.example",
    "x\0",
    "\ud800",
    "{order}",
    "' OR 1=1 --",
    "$(reboot)",
    "ä ö",
]


async def test_a_value_fills_its_place_in_the_path_alone(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is asked for, the path has as many parts as in the file, and the host is the
    file's.
    """
    async with (
        serving(*[text_answer("{}")] * len(ODD_VALUES)) as endpoint,
        having(store, declared(f"{base(endpoint)}/orders/{{order}}/state")) as call,
    ):
        call.state.line = call.state.line.model_copy(
            update={"limits": call.state.line.limits.model_copy(update={"tool_calls": 500})}
        )
        for value in ODD_VALUES:
            await call.use("look_up_order", None, order=value)
        port = endpoint.url.split(":")[2].split("/")[0]
    sent = [arrival.path for arrival in endpoint.arrivals]
    odd = [path for path in sent if path.count("/") != 3 or not path.endswith("/state")]
    tell(capsys, f"requests with another path: {len(odd)} of n={len(ODD_VALUES)}")
    assert odd == []
    assert "/orders/' OR 1=1 --/state" in sent
    assert {arrival.headers["host"] for arrival in endpoint.arrivals} == {f"127.0.0.1:{port}"}


async def test_a_value_fills_its_place_in_the_query_alone(store: Store) -> None:
    """What would begin another parameter is part of the value."""
    seen: list[tuple[str, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, dict(request.query)))
        return web.json_response({})

    async with serving(*[answer] * len(ODD_VALUES)) as endpoint:
        url = f"{base(endpoint)}/find?kind=order&q={{order}}&page={{page}}"
        page = HttpArgument(type="integer", description="Which.", required=False)
        tool = declared(url, arguments={"order": TEXT, "page": page})
        async with having(store, tool) as call:
            for value in ODD_VALUES:
                await call.use("look_up_order", None, order=value)
    assert all(path == "/find" for path, _ in seen)
    assert all(query == {"kind": "order", "q": query["q"]} for _, query in seen)
    speakable = {value for value in ODD_VALUES if value.isprintable()}
    assert {query["q"] for _, query in seen} == speakable


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "order"),
        ({"order": "1", "host": "evil.example"}, "host"),
        ({"order": 1}, "order"),
        ({"order": "1", "pieces": "2"}, "pieces"),
        ({"order": "1", "pieces": True}, "pieces"),
        ({"order": "1", "pieces": 2.5}, "pieces"),
        ({"order": "1", "size": "huge"}, "one of small, large"),
        ({"order": "1", "count": 3}, "one of 1, 2"),
        ({"order": "1", "paid": "yes"}, "paid"),
        ({"order": "x" * 100_000}, "too long"),
    ],
)
async def test_what_does_not_fit_is_not_sent(
    store: Store, arguments: dict[str, Any], reason: str
) -> None:
    """A value of another type, or none of the choices, is refused with the name of the argument."""
    more = {
        "order": TEXT,
        "pieces": HttpArgument(type="integer", description=".", required=False),
        "size": HttpArgument(description=".", required=False, choices=("small", "large")),
        "count": HttpArgument(type="integer", description=".", required=False, choices=("1", "2")),
        "paid": HttpArgument(type="boolean", description=".", required=False),
    }
    async with serving() as endpoint:
        tool = declared(f"{base(endpoint)}/orders/{{order}}", arguments=more)
        heard = await used(store, endpoint, tool, **arguments)
    assert heard.startswith("REFUSED: ")
    assert reason in heard
    assert endpoint.arrivals == []


def test_the_model_sees_the_arguments_of_the_file_and_no_secret() -> None:
    """Each with its type, its description, and choices of that type."""
    arguments = {
        "order": TEXT,
        "count": HttpArgument(type="integer", description="How many.", choices=("1", "2")),
        "share": HttpArgument(type="number", description=".", required=False, choices=("0.5",)),
    }
    schema = http_tool(
        declared("https://shop.example/{order}", arguments=arguments)
    ).info.raw_schema
    assert schema["parameters"] == {
        "type": "object",
        "properties": {
            "order": {"type": "string", "description": "What it says."},
            "count": {"type": "integer", "description": "How many.", "enum": [1, 2]},
            "share": {"type": "number", "description": ".", "enum": [0.5]},
        },
        "required": ["order", "count"],
        "additionalProperties": False,
    }
    assert SECRET not in json.dumps(schema)
    assert "shop.example" not in json.dumps(schema)


async def test_the_rest_goes_into_the_body_or_the_query(store: Store) -> None:
    """What the URL does not name is JSON in a POST and a parameter in a GET."""
    arguments = {
        "order": TEXT,
        "pieces": HttpArgument(type="integer", description="."),
        "gift": HttpArgument(type="boolean", description="."),
    }
    queries: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        queries.append(dict(request.query))
        return web.json_response({})

    async with serving(answer, answer) as endpoint:
        url = f"{base(endpoint)}/orders/{{order}}"
        for method in ("POST", "GET"):
            tool = declared(url, method=method, arguments=arguments)
            await used(store, endpoint, tool, order="7", pieces=2, gift=True)
    posted, got = endpoint.arrivals
    assert json.loads(posted.body) == {"gift": True, "pieces": 2}
    assert posted.headers["content-type"] == "application/json"
    assert got.body == b""
    assert queries == [{}, {"gift": "true", "pieces": "2"}]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/{order}",
        "http://127.0.0.1:1/{order}",
        "https://10.0.0.1/{order}",
        "https://[::ffff:127.0.0.1]/{order}",
        "https://metadata.internal/{order}",
        "https://localhost/{order}",
    ],
)
async def test_nothing_is_sent_inside(store: Store, url: str) -> None:
    """Without a list of networks a tool reaches public addresses only."""
    async with calling(store, [http_tool(declared(url))]) as call:
        heard = await call.use("look_up_order", None, order="1")
    assert heard.startswith("REFUSED: That service does not answer right now.")


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "10.1.2.3", "fd00:ec2::254"])
async def test_a_name_that_leads_inside_is_not_dialled(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it meant when the file was checked (DNS rebinding)."""
    dialled: list[object] = []

    def found(host: str, port: int, **_more: object) -> list[tuple[Any, ...]]:
        assert host == "shop.example.com"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async def connect(*arguments: object, **_more: object) -> None:
        dialled.append(arguments)

    tool = declared("https://shop.example.com/{order}")
    async with calling(store, [http_tool(tool)]) as call:
        monkeypatch.setattr(socket, "getaddrinfo", found)
        monkeypatch.setattr("httpcore.AnyIOBackend.connect_tcp", connect)
        heard = await call.use(tool.name, None, order="1")
    assert heard.startswith("REFUSED: That service does not answer right now.")
    assert "leads to" in caplog.text
    assert dialled == []
