"""`thirdring.yaml`: every mistake has its place, its value without secrets, and a way out."""

from __future__ import annotations

import gc
from datetime import date, time
from ipaddress import ip_network
from pathlib import Path

import pytest
from livekit.agents import llm
from pydantic import SecretStr

from tests.thirdring.config_mistakes import BAD
from thirdring import config, workflow
from thirdring.errors import ConfigError, Problem
from thirdring.home import Home
from thirdring.settings import (
    DEFAULT_MODEL,
    FileSettings,
    MongoSettings,
    OpeningHours,
    Settings,
    Weekday,
)
from thirdring.workflow import Workflow

ROOT = Path(__file__).parents[2]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk"
ENVIRON = {
    "OLD_SECRET": OLD_SECRET,
    "THIRDRING_WEBHOOK_URL": "https://records.example/hook",
    "THIRDRING_WEBHOOK_SECRET": SECRET,
    "WEAK": "whsec_c2hvcnQ=",
    "NAME": "hunter2",
}


@llm.function_tool
async def opening_hours() -> str:
    """Say when the clinic is open."""
    return ""


WORKFLOWS = {
    "patient_questions": Workflow(
        name="patient_questions", tools=(opening_hours,), facts=("address",), greeting="Hello."
    ),
    "needy": Workflow(name="needy", facts=("parking",), greeting="Hello, {{ motto }}."),
    "reminder": Workflow(name="reminder", direction="outbound", greeting="Hello."),
}

GOOD = """\
version: 1
businesses:
  clinic:
    name: Riverside Clinic
    time_zone: America/New_York
    facts:
      notes: Free parking.
    hours:
      monday: ["09:00-12:00", "13:00-17:00"]
    slot_minutes: 20
    webhook:
      url: ${THIRDRING_WEBHOOK_URL}
      secret: ${THIRDRING_WEBHOOK_SECRET}
    lines:
      - number: "+12025550142"
        workflow: patient_questions
        tools: [opening_hours]
        greeting: Welcome to {{ facility_name }}. {{ notes }}
      - number: "+12025550143"
        workflow: patient_questions
default_line: "+12025550143"
gateway:
  listen: 127.0.0.1:5060
  rtp_ports: 20000-20999
  max_calls: 20
"""


def load(folder: Path, text: str | bytes) -> Settings:
    path = folder / "thirdring.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.load(path, workflows=WORKFLOWS, environ=ENVIRON)


def problems(folder: Path, text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_the_file_of_the_repository_is_good(tmp_path: Path) -> None:
    """The thirdring.yaml beside the README loads once its two variables are set."""
    workflows = workflow.discover()
    settings = config.load(ROOT / "thirdring.yaml", workflows=workflows, environ=ENVIRON)
    business, line = settings.find("+12025550142") or pytest.fail("no line")
    assert (business.slug, line.workflow) == ("riverside_clinic", "patient_questions")
    assert settings.businesses[0] is business
    assert config.warnings(settings, date(2026, 12, 1), Home(tmp_path)) == []


def test_every_workflow_of_the_repository_has_a_line(tmp_path: Path) -> None:
    """So that each can be dialled as it comes."""
    workflows = workflow.discover()
    settings = config.load(ROOT / "thirdring.yaml", workflows=workflows, environ=ENVIRON)
    lines = [line.workflow for business in settings.businesses for line in business.lines]
    assert sorted(lines) == sorted(workflows)


def test_loading_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    """It rests while a file is read, good or bad, and goes on afterwards."""
    load(tmp_path, GOOD)
    problems(tmp_path, "")
    assert gc.isenabled()


def test_values_arrive_typed(tmp_path: Path) -> None:
    """Spans become times, variables their values, what is left out its default."""
    settings = load(tmp_path, GOOD)
    (clinic,) = settings.businesses
    assert clinic.hours[Weekday.MONDAY][1] == OpeningHours(opens=time(13), closes=time(17))
    assert clinic.webhook
    assert clinic.webhook.secret.get_secret_value() == SECRET
    assert [line.model for line in clinic.lines] == [DEFAULT_MODEL] * 2
    assert (clinic.lines[0].tools, clinic.lines[1].tools) == (("opening_hours",), None)
    assert (settings.gateway.host, settings.gateway.port) == ("127.0.0.1", 5060)
    assert settings.gateway.rtp_ports == (20000, 20999)


@pytest.mark.parametrize("name", BAD)
def test_each_mistake_is_told_with_place_value_and_remedy(name: str, tmp_path: Path) -> None:
    """One mistake gives what it should and no more, word for word."""
    old, new, *expected = BAD[name]
    found = problems(tmp_path, changed(old, new))
    file = str(tmp_path / "thirdring.yaml")
    texts = [f"{file}:{text.replace('FILE', file)}" for text in expected]
    assert [str(problem) for problem in found] == texts


@pytest.mark.parametrize(
    ("key", "value", "example"),
    [
        ("hours", "9-17", 'keys with values, such as monday: ["09:00-17:00"]'),
        ("hours", "[monday]", 'keys with values, such as monday: ["09:00-17:00"]'),
        ("hours", "", 'keys with values, such as monday: ["09:00-17:00"]'),
        ("languages", "en", "a list, such as [en, es]"),
    ],
)
def test_a_wrong_shape_is_told_with_a_right_one(
    key: str, value: str, example: str, tmp_path: Path
) -> None:
    """Of what a person would rather write in one word."""
    text = changed('    hours:\n      monday: ["09:00-12:00", "13:00-17:00"]\n', "")
    (problem,) = problems(tmp_path, text.replace("    slot", f"    {key}: {value}\n    slot"))
    assert (problem.path, problem.expected) == (f"businesses.clinic.{key}", example)


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Shape, values, relations and variables are checked even where another check fails."""
    text = changed("version: 1", "version: one").replace("time_zone", "timezone")
    text = text.replace("${THIRDRING_WEBHOOK_URL}", "${GONE}").replace("20000-20999", "odd")
    text = text.replace("workflow: patient_questions\ndefault", "workflow: nothing\ndefault")
    text = text.replace('default_line: "+12025550143"', 'default_line: "+12025550144"')
    found = problems(tmp_path, text)
    assert [(problem.line, problem.path) for problem in found] == [
        (1, "version"),
        (3, "businesses.clinic.time_zone"),
        (5, "businesses.clinic.timezone"),
        (12, "businesses.clinic.webhook.url"),
        (20, "businesses.clinic.lines[1].workflow"),
        (21, "default_line"),
        (24, "gateway.rtp_ports"),
    ]


def test_sinks_arrive_typed(tmp_path: Path) -> None:
    """All of them, a secret that goes out of use, and who may be reached inside."""
    text = changed(
        "    lines:",
        "      previous_secret: ${OLD_SECRET}\n"
        "    sinks:\n"
        "      file: {path: records.jsonl}\n"
        "      mongodb: {url: 'mongodb://anna:${NAME}@10.0.0.7/', database: clinic}\n"
        "    lines:",
    )
    settings = load(tmp_path, text + "allowed_receivers: [10.0.0.0/8, 'fd00::/8']\n")
    (clinic,) = settings.businesses
    assert clinic.webhook
    assert clinic.webhook.previous_secret == SecretStr(OLD_SECRET)
    assert clinic.sinks.file == FileSettings(path=Path("records.jsonl"))
    assert clinic.sinks.mongodb == MongoSettings(
        url=SecretStr("mongodb://anna:hunter2@10.0.0.7/"), database="clinic", collection="calls"
    )
    assert clinic.sink_names == ("webhook", "file", "mongodb")
    assert settings.allowed_receivers == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert "hunter2" not in repr(settings)


def test_mongodb_without_its_package_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says how to install it; a file without that sink needs no package."""
    monkeypatch.setattr("thirdring.config_sink_checks.find_spec", lambda _: None)
    text = changed(
        "    lines:", "    sinks: {mongodb: {url: mongodb://host/, database: d}}\n    lines:"
    )
    (problem,) = problems(tmp_path, text)
    assert problem.path == "businesses.clinic.sinks.mongodb"
    assert problem.what == "needs what is not installed"
    assert problem.expected == "the package pymongo: uv sync --inexact --extra mongo"
    assert load(tmp_path, GOOD)


def test_a_list_of_all_receivers_is_warned_of(tmp_path: Path) -> None:
    """Allowing every address works, with a warning, and opens no metadata of a cloud."""
    settings = load(tmp_path, GOOD + "allowed_receivers: [0.0.0.0/0]\n")
    (warning,) = config.warnings(settings, date(2026, 12, 1), Home(tmp_path))
    assert warning.startswith("allowed_receivers has 0.0.0.0/0")


def test_a_file_without_its_folder_is_warned_of(tmp_path: Path) -> None:
    """Of the folder, which may be made later; a file in the home, or in a folder, is fine."""
    home = Home(tmp_path / "home")
    texts = [
        GOOD.replace("webhook:", f"sinks: {{file: {{path: {path}}}}}\n    webhook:", 1)
        for path in ("a.jsonl", tmp_path / "a.jsonl", "missing/a.jsonl")
    ]
    today = date(2026, 12, 1)
    found = [config.warnings(load(tmp_path, text), today, home) for text in texts]
    folder = home.root / "missing"
    told = f"clinic: the folder {folder} is not there; records wait until somebody makes it"
    assert found == [[], [], [told]]


def test_a_line_lacks_facts_of_its_workflow(tmp_path: Path) -> None:
    """Facts that instructions or greeting of a workflow need are asked for before any call."""
    found = problems(
        tmp_path, changed("workflow: patient_questions\ndefault", "workflow: needy\ndefault")
    )
    named = [problem.what.split('"')[1] for problem in found]
    assert named == ["motto", "parking"]


def test_a_fact_of_the_business_satisfies_its_workflow(tmp_path: Path) -> None:
    """A workflow's own fact comes from the facts of the business."""
    text = changed("notes: Free parking.", "notes: None.\n      parking: Free.\n      motto: Hi.")
    text = text.replace("workflow: patient_questions\ndefault", "workflow: needy\ndefault")
    assert load(tmp_path, text).businesses[0].facts["parking"] == "Free."


def test_listening_outside_is_fine_with_allowed_addresses(tmp_path: Path) -> None:
    """The gateway may listen anywhere once it is told who may call."""
    text = changed("127.0.0.1:5060", '"[::]:5060"\n  allowed_addresses: [192.0.2.0/24]')
    assert load(tmp_path, text).gateway.host == "::"


@pytest.mark.parametrize("model", ["gpt-realtime", "gpt-realtime-2025-08-28"])
@pytest.mark.parametrize(
    ("today", "verb"), [(date(2026, 12, 1), "retires"), (date(2027, 2, 1), "has retired")]
)
def test_a_retiring_model_is_warned_of(model: str, today: date, verb: str, tmp_path: Path) -> None:
    """It loads, with a warning that names the day and the model to use."""
    text = changed("tools: [opening_hours]", f"model: {model}")
    (warning,) = config.warnings(load(tmp_path, text), today, Home(tmp_path))
    assert f"{model} {verb} on 2027-01-20; use {DEFAULT_MODEL}" in warning


def test_a_model_that_nobody_knows_is_warned_of(tmp_path: Path) -> None:
    """It may be new, or another server's, so it loads; a slip of the pen is pointed out."""
    text = changed("tools: [opening_hours]", "model: gpt-realtime-2.1-min")
    (warning,) = config.warnings(load(tmp_path, text), date(2026, 12, 1), Home(tmp_path))
    assert "the model gpt-realtime-2.1-min is none of OpenAI's known ones" in warning
    assert 'did you mean "gpt-realtime-2.1-mini"?' in warning


@pytest.mark.parametrize(
    ("name", "today", "expected"),
    [
        ("gpt-4o-mini-transcribe", date(2027, 2, 25), None),
        ("gpt-4o-mini-transcribe", date(2027, 2, 26), "has retired on 2027-02-26; use one of"),
        ("gpt-live-transcribe", date(2027, 3, 1), None),
        ("gpt-live-transcibe", date(2026, 12, 1), 'did you mean "gpt-live-transcribe"?'),
    ],
)
def test_a_transcription_model_that_is_gone_or_unknown_is_warned_of(
    name: str, today: date, expected: str | None, tmp_path: Path
) -> None:
    """Without a transcript nothing is confirmed: who checks is told before their callers are."""
    text = changed("tools: [opening_hours]", f"transcription_model: {name}")
    found = config.warnings(load(tmp_path, text), today, Home(tmp_path))
    about_it = [line for line in found if f"transcription model {name} " in line]
    assert bool(about_it) == (expected is not None)
    assert all(expected in line for line in about_it if expected)


def test_a_network_of_everybody_is_warned_of(tmp_path: Path) -> None:
    """Allowing all addresses works, with a warning."""
    settings = load(tmp_path, changed("  max_calls: 20", "  allowed_addresses: [0.0.0.0/0]"))
    (warning,) = config.warnings(settings, date(2026, 12, 1), Home(tmp_path))
    assert "0.0.0.0/0" in warning
