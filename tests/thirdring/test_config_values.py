"""Which values each field of `thirdring.yaml` takes."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from thirdring import config
from thirdring.errors import ConfigError
from thirdring.settings import Settings
from thirdring.workflow import Workflow

FIELDS = {
    "name": "Clinic",
    "time_zone": "UTC",
    "fact": "parking",
    "text": "Free.",
    "hours": '["09:00-17:00"]',
    "slot_minutes": "30",
    "url": "https://records.example/hook",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "number": '"+12025550142"',
    "workflow": "desk",
    "model": "gpt-realtime-2.1",
    "tools": "[]",
    "listen": "127.0.0.1:5060",
    "rtp_ports": "20000-20999",
    "allowed_addresses": "[]",
    "max_calls": "20",
    "capacity": "10",
    "path": "records.jsonl",
    "mongodb": "mongodb://127.0.0.1/",
    "database": "clinic",
    "collection": "calls",
}
TEMPLATE = """\
version: 1
businesses:
  clinic:
    name: %(name)s
    time_zone: %(time_zone)s
    facts: {%(fact)s: %(text)s}
    hours: {monday: %(hours)s}
    slot_minutes: %(slot_minutes)s
    webhook:
      url: %(url)s
      secret: ${SECRET}
    sinks:
      file: {path: %(path)s}
      mongodb: {url: %(mongodb)s, database: %(database)s, collection: %(collection)s}
    lines:
      - number: %(number)s
        workflow: %(workflow)s
        model: %(model)s
        tools: %(tools)s
gateway:
  listen: %(listen)s
  rtp_ports: %(rtp_ports)s
  allowed_addresses: %(allowed_addresses)s
  max_calls: %(max_calls)s
worker: {capacity: %(capacity)s}
allowed_receivers: [127.0.0.0/8, "::1/128"]
"""
PATHS = {
    "fact": "businesses.clinic.facts",
    "text": "businesses.clinic.facts.parking",
    "hours": "businesses.clinic.hours.monday",
    "url": "businesses.clinic.webhook.url",
    "secret": "businesses.clinic.webhook.secret",
    "path": "businesses.clinic.sinks.file.path",
    "mongodb": "businesses.clinic.sinks.mongodb.url",
}
ENVIRON = {"SECRET": FIELDS["secret"], "NAME": "Clinic ${NAME}", "CALLS": "20"}


def load(folder: Path, field: str, value: str) -> Settings:
    path = folder / "thirdring.yaml"
    path.write_text(TEMPLATE % {**FIELDS, field: value})
    desk = Workflow(name="desk", greeting="Hello.")
    # A secret never stands in the file.
    environ = {**ENVIRON, "SECRET": value} if field == "secret" else ENVIRON
    return config.load(path, workflows={"desk": desk}, environ=environ)


def key(size: int) -> str:
    return f"whsec_{base64.b64encode(bytes(size)).decode()}"


GOOD = [
    ("name", "'404'"),
    ("name", "${NAME}"),
    ("name", "Jürg's"),
    ("time_zone", "America/Argentina/Buenos_Aires"),
    ("fact", "room_101"),
    ("text", "'{ not a placeholder }'"),
    ("text", "Call us ! Now!!"),
    ("text", "'!!int 30, !x'"),
    ("hours", "[]"),
    ("hours", '["00:00-12:00", "12:00-23:59"]'),
    ("hours", '["13:00-17:00", "09:00-12:00"]'),
    ("slot_minutes", "5"),
    ("url", "http://localhost:8080/hook"),
    ("url", "http://127.3.2.1/"),
    ("url", "http://[::1]:1/"),
    ("secret", key(24)),
    ("secret", key(64)),
    ("number", '"+442083661177"'),
    ("path", "/var/lib/clinic/records.jsonl"),
    ("path", "'${NAME}'"),
    ("mongodb", "mongodb+srv://cluster.example/?appName=crm"),
    ("mongodb", "'mongodb://${NAME}:${CALLS}@127.0.0.1:27018/?tls=true'"),
    ("database", "clinic_2"),
    ("collection", "calls.2026"),
    ("listen", "127.0.0.1:0"),
    ("listen", "'[::1]:5060'"),
    ("allowed_addresses", "[192.0.2.7, 198.51.100.0/24, '2001:db8::/32']"),
    ("rtp_ports", "1024-1063"),
    ("tools", ""),
    ("tools", "~"),
]

BAD = [
    ("name", "''"),
    ("name", ""),
    ("name", "[a]"),
    ("name", "2026-01-01"),
    ("name", "x" * 201),
    ("time_zone", "America"),
    ("time_zone", "../../etc/passwd"),
    ("time_zone", "''"),
    ("time_zone", "5"),
    ("workflow", "true"),
    ("fact", "Parking"),
    ("fact", "'{{'"),
    ("text", "x" * 2001),
    ("text", "1.5"),
    ("hours", "09:00-17:00"),
    ("hours", "[9-17]"),
    ("hours", "[09:00-24:00]"),
    ("hours", "[10:30]"),
    ("hours", '["09:00-12:00", "10:00-11:00"]'),
    ("slot_minutes", "4"),
    ("slot_minutes", "30.0"),
    ("slot_minutes", "'30'"),
    ("slot_minutes", "true"),
    ("slot_minutes", "9" * 5000),
    ("slot_minutes", "1:30"),
    ("max_calls", "0x10"),
    ("max_calls", "1_0"),
    ("max_calls", "${CALLS}"),
    ("capacity", "0"),
    ("url", "http://localhost.evil.example/"),
    ("url", "http://2130706433/"),
    ("url", "http://192.168.0.1/"),
    ("url", "ftp://records.example/"),
    ("url", "file:///etc/passwd"),
    ("url", "https://"),
    ("url", "https://[::1/"),
    ("url", "https://a.example:99999/"),
    ("url", "https://@a.example/"),
    ("url", '"https://a.example/a b"'),
    ("url", '"https://a.example/\\n"'),
    ("url", "https://exämple.org/"),
    ("secret", key(23)),
    ("secret", key(65)),
    ("secret", "whsec_%%%"),
    ("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"),
    ("path", "''"),
    ("path", "/"),
    ("path", '"a\\0b"'),
    ("path", "[a]"),
    ("mongodb", "''"),
    ("mongodb", "mongodb://"),
    ("mongodb", "'mongodb://[::1/'"),
    ("mongodb", "http://127.0.0.1/"),
    ("mongodb", "mongodb://127.0.0.1:99999/"),
    ("mongodb", "mongodb://127.0.0.1/?wireTimeout=1"),
    ("mongodb", "mongodb://anna:hunter2@127.0.0.1/"),
    ("mongodb", "mongodb://127.0.0.1/?tlsCertificateKeyFilePassword=hunter2"),
    ("database", "a.b"),
    ("database", "'a b'"),
    ("database", "''"),
    ("collection", "$calls"),
    ("collection", "system.users"),
    ("collection", "'a b'"),
    ("number", '"12025550142"'),
    ("number", '"+1 202 555 0142"'),
    ("number", '"+1202"'),
    ("number", '"+\\uff11202"'),
    ("number", "12025550142.0"),
    ("model", "''"),
    ("tools", "[3]"),
    ("tools", "[hang_up]"),
    ("listen", "127.0.0.1"),
    ("listen", "127.0.0.1:65536"),
    ("listen", "256.0.0.1:5060"),
    ("listen", "localhost:5060"),
    ("listen", "5060"),
    ("allowed_addresses", "[anybody]"),
    ("allowed_addresses", "[7]"),
    ("allowed_addresses", "[10.0.0.1/8]"),
    ("rtp_ports", "20000-20998"),
    ("rtp_ports", "20999-20000"),
    ("rtp_ports", "1000-1999"),
    ("rtp_ports", "60000-70001"),
    ("rtp_ports", "20000"),
]


@pytest.mark.parametrize(("field", "value"), GOOD)
def test_a_good_value_loads(field: str, value: str, tmp_path: Path) -> None:
    """What the reference allows is allowed."""
    assert load(tmp_path, field, value).businesses


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_bad_value_is_one_problem_of_its_field(field: str, value: str, tmp_path: Path) -> None:
    """The error is about this field alone, and says what would be right."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, field, value)
    (problem,) = caught.value.problems
    assert PATHS.get(field, f".{field}") in f".{problem.path}"
    assert problem.expected


def test_a_variable_is_put_in_once(tmp_path: Path) -> None:
    """A value that looks like a reference stays as it is, and `$${` is a literal `${`."""
    assert load(tmp_path, "name", "${NAME}").businesses[0].name == "Clinic ${NAME}"
    assert load(tmp_path, "name", "a $${NAME} $5").businesses[0].name == "a ${NAME} $5"


def test_a_key_that_is_a_list_is_a_problem(tmp_path: Path) -> None:
    """YAML allows any value as a key; a configuration has no use for it."""
    with pytest.raises(ConfigError, match="has a key that is a mapping or a list"):
        load(tmp_path, "text", "Free., [a, b]: c")


def test_a_document_that_is_one_variable_is_no_mapping(tmp_path: Path) -> None:
    """A variable holds a string, never structure."""
    path = tmp_path / "thirdring.yaml"
    path.write_text("${NAME}")
    with pytest.raises(ConfigError, match=r"1:1 document: is not a mapping, got \$\{NAME\}"):
        config.load(path, workflows={}, environ=ENVIRON)
