"""Which sinks the settings lead to."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from tests.peers.endpoint import serving
from tests.samples import SECRET, at, business, settings
from thirdring.errors import PhoneError
from thirdring.home import Home
from thirdring.settings import Business, FileSettings, MongoSettings, SinkSettings, WebhookEndpoint
from thirdring.sinks import open_sinks

BODY = b'{"a": 1}'
MONGODB = MongoSettings(
    url=SecretStr("mongodb://anna:hunter2@127.0.0.1:1/"), database="d", collection="c"
)


def with_sinks(slug: str, **sinks: object) -> Business:
    return business(slug=slug).model_copy(update={"sinks": SinkSettings.model_validate(sinks)})


async def test_every_sink_of_every_business_is_there(tmp_path: Path) -> None:
    """By slug and name; what a business has not is not there."""
    absolute = tmp_path / "elsewhere" / "b.jsonl"
    businesses = (
        business(url="https://records.example/hook?token=x", slug="a"),
        with_sinks("b", file=FileSettings(path=absolute), mongodb=MONGODB),
        with_sinks("c", file=FileSettings(path=Path("c.jsonl")), mongodb=MONGODB),
        business(slug="d"),
    )
    async with open_sinks(settings(*businesses), Home(tmp_path / "home")) as sinks:
        assert {key: sink.address for key, sink in sinks.items()} == {
            ("a", "webhook"): "https://records.example/hook?token=x",
            ("b", "file"): str(absolute),
            ("b", "mongodb"): "mongodb 127.0.0.1:1 d.c",
            ("c", "file"): str(tmp_path / "home" / "c.jsonl"),
            ("c", "mongodb"): "mongodb 127.0.0.1:1 d.c",
        }
    assert [part.sink_names for part in businesses] == [
        ("webhook",),
        ("file", "mongodb"),
        ("file", "mongodb"),
        (),
    ]


async def test_a_file_in_the_home_gets_its_record(tmp_path: Path) -> None:
    """A path that is not absolute is one in the home folder."""
    home = Home(tmp_path).made()
    clinic = with_sinks("clinic", file=FileSettings(path=Path("records.jsonl")))
    async with open_sinks(settings(clinic), home) as sinks:
        await sinks["clinic", "file"].deliver("id", BODY, at(0))
    assert (tmp_path / "records.jsonl").read_bytes() == BODY + b"\n"


async def test_both_secrets_sign_while_they_change(tmp_path: Path) -> None:
    """A receiver that knows either verifies each delivery by the published library."""
    old, foreign = "whsec_" + "b2xk" * 8, "whsec_" + "bm8h" * 8
    async with serving() as endpoint:
        hook = WebhookEndpoint(url=endpoint.url, secret=SECRET, previous_secret=SecretStr(old))
        clinic = business(slug="clinic").model_copy(update={"webhook": hook})
        async with open_sinks(settings(clinic), Home(tmp_path)) as sinks:
            for number in range(20):
                body = BODY + b" " * number
                result = await sinks["clinic", "webhook"].deliver("id", body, datetime.now(UTC))
                assert result.error is None
    for arrival in endpoint.arrivals:
        first, second = arrival.headers["webhook-signature"].split(" ")
        assert first.startswith("v1,")
        assert second.startswith("v1,")
        for secret in (SECRET.get_secret_value(), old):
            Webhook(secret).verify(arrival.body, arrival.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(foreign).verify(arrival.body, arrival.headers)
    assert len(endpoint.arrivals) == 20


async def test_a_business_is_posted_to_by_its_own_rules(tmp_path: Path) -> None:
    """Without a list of allowed receivers a loopback webhook gets nothing, and says why."""
    async with serving() as endpoint:
        config = settings(business(url=endpoint.url)).model_copy(update={"allowed_receivers": ()})
        async with open_sinks(config, Home(tmp_path)) as sinks:
            result = await sinks["riverside_clinic", "webhook"].deliver("id", BODY, at(0))
        assert endpoint.arrivals == []
    assert result.error
    assert "allowed_receivers: [127.0.0.0/8" in result.error


async def test_without_its_package_mongodb_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others do not need it."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("pymongo", "bson")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "thirdring.sinks.mongodb", raising=False)
    monkeypatch.delattr("thirdring.sinks.mongodb", raising=False)
    monkeypatch.setitem(sys.modules, "pymongo", None)
    plain = with_sinks("a", file=FileSettings(path=Path("a")))
    async with open_sinks(settings(plain), Home(tmp_path)) as sinks:
        assert list(sinks) == [("a", "file")]
    with pytest.raises(PhoneError, match=r"uv sync --inexact --extra mongo"):
        async with open_sinks(settings(with_sinks("b", mongodb=MONGODB)), Home(tmp_path)):
            pass


async def test_a_url_that_means_nothing_is_refused_without_its_password(tmp_path: Path) -> None:
    """The message names the business and the key."""
    broken = MONGODB.model_copy(update={"url": SecretStr("mongodb://anna:hunter2/x@host/")})
    with pytest.raises(PhoneError, match=r"businesses\.b\.sinks\.mongodb\.url") as caught:
        async with open_sinks(settings(with_sinks("b", mongodb=broken)), Home(tmp_path)):
            pass
    assert "hunter2" not in str(caught.value)
