"""The page's server: it serves its own page, and gives a token to nobody else."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from local.talk.browser import serving
from tests.samples import LINE
from thirdring.access import LiveKitAccess
from thirdring.errors import PhoneError
from thirdring.settings import Business

PAGE = Path(__file__).parents[3] / "local" / "talk" / "page"
SECRET = "s" * 40


@asynccontextmanager
async def page(
    livekit: str = "ws://127.0.0.1:7880", port: int = 0
) -> AsyncIterator[tuple[str, str]]:
    """Serve it; yield its origin and its key."""
    access = LiveKitAccess(url=livekit, api_key="key", api_secret=SecretStr(SECRET))
    business = Business(
        slug="clinic", name="Riverside Clinic", time_zone=ZoneInfo("UTC"), lines=(LINE,)
    )
    async with serving(access, business, LINE, port=port) as address:
        url = URL(address)
        yield str(url.origin()), url.fragment.removeprefix("key=")


def asking(origin: str, key: str, **changed: str) -> dict[str, str]:
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin", "X-Thirdring-Key": key}
    given = {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in {**headers, **given}.items() if value}


async def test_the_page_gets_a_token_of_its_own_for_each_call() -> None:
    """Our own page with its key gets room and token; the secret itself is in no answer."""
    async with page() as (origin, key), aiohttp.ClientSession() as client:
        answers = []
        for _ in range(2):
            async with client.post(f"{origin}/call", headers=asking(origin, key)) as answer:
                answers.append(await answer.json())
                assert answer.headers["Cache-Control"] == "no-store"
        async with client.get(f"{origin}/about") as answer:
            about = await answer.json()
    assert answers[0]["room"] != answers[1]["room"]
    assert set(about) == {"url", "line", "business"}
    assert SECRET not in str(answers)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"X_Thirdring_Key": ""}, 403),
        ({"X_Thirdring_Key": "guessed"}, 403),
        ({"X_Thirdring_Key": "gu\u00e9ssed"}, 403),
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80", "Origin": "http://evil.example:80"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
    ],
    ids=str,
)
async def test_nobody_else_gets_a_token(changed: dict[str, str], status: int) -> None:
    """Another site, a name that leads to loopback, and whoever lacks the key are refused."""
    async with page() as (origin, key), aiohttp.ClientSession() as client:
        headers = asking(origin, key, **changed)
        async with client.post(f"{origin}/call", headers=headers) as answer:
            assert (answer.status, "token" in await answer.text()) == (status, False)


async def test_a_name_that_leads_to_loopback_is_shown_nothing() -> None:
    """A rebound name gets no file either, so that its scripts do not run as ours."""
    async with page() as (origin, _), aiohttp.ClientSession() as client:
        for path in ("/", "/about", "/talk.js"):
            async with client.get(f"{origin}{path}", headers={"Host": "evil.example"}) as answer:
                assert answer.status == 421


@pytest.mark.parametrize(
    ("livekit", "reachable"),
    [
        ("ws://127.0.0.1:7880", "ws://127.0.0.1:7880 http://127.0.0.1:7880"),
        ("wss://phone.example", "wss://phone.example https://phone.example"),
        (
            "wss://a.livekit.cloud",
            "wss://a.livekit.cloud https://a.livekit.cloud "
            "wss://*.livekit.cloud https://*.livekit.cloud",
        ),
    ],
)
async def test_the_page_can_reach_its_livekit_server_and_nothing_else(
    livekit: str, reachable: str
) -> None:
    """The policy names ourselves and that server, forbids inline scripts, frames and caches."""
    async with (
        page(livekit) as (origin, _),
        aiohttp.ClientSession() as client,
        client.get(origin) as answer,
    ):
        headers = answer.headers
    policy = dict(
        part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["connect-src"] == f"'self' {reachable}"
    assert headers["Cache-Control"] == "no-store"


async def test_every_file_is_served_and_none_beside_them() -> None:
    """All that the page asks for is there; a path that climbs out of the folder is not."""
    async with page() as (origin, _), aiohttp.ClientSession() as client:
        wanted = {"/", "/livekit-client.js", "/meter.js"}
        for file in PAGE.glob("*.*"):
            wanted |= set(
                re.findall(r'(?:src|href|from|addModule)[=( ]+"(/[\w.-]+)"', file.read_text())
            )
        for path in wanted:
            async with client.get(f"{origin}{path}") as answer:
                assert (path, answer.status) == (path, 200)
        for path in ("/../browser_app.py", "/%2e%2e/browser_app.py", "/vendor/README.md"):
            async with client.get(URL(f"{origin}{path}", encoded=True)) as answer:
                assert (path, answer.status) == (path, 404)
    assert len(wanted) > 8


async def test_a_taken_port_is_named() -> None:
    """One sentence names the port and the option that moves it."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        number = holder.getsockname()[1]
        with pytest.raises(PhoneError, match=f"port {number} of 127.0.0.1 .*--port"):
            async with page(port=number):
                raise AssertionError


def test_the_vendored_client_is_the_published_one() -> None:
    """What is vendored has the checksum that stands beside it."""
    vendored = PAGE / "vendor"
    noted = re.search(r"sha256 `(\w{64})`", (vendored / "README.md").read_text())
    actual = hashlib.sha256((vendored / "livekit-client.umd.js").read_bytes()).hexdigest()
    assert noted is not None
    assert noted[1] == actual


def test_every_problem_has_its_words() -> None:
    """Whatever can go wrong in the page's scripts has a message of its own."""
    words = (PAGE / "words.js").read_text()
    known = set(re.findall(r"^  (\w+): \{", words, re.MULTILINE))
    scripts = (PAGE / "call.js").read_text() + (PAGE / "talk.js").read_text()
    named = set(re.findall(r'(?:problem|failed|Or)\("(\w+)"', scripts))
    assert len(named) > 10
    assert named <= known
