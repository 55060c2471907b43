"""What a business may say of itself in `thirdring.yaml`."""

from __future__ import annotations

import json
from datetime import date, time
from importlib.util import find_spec
from pathlib import Path

import pytest
from livekit.agents import llm

from tests.thirdring.config_mistakes_of_a_business import BAD, FULL
from thirdring import config
from thirdring.errors import ConfigError, Problem
from thirdring.home import Home
from thirdring.settings import (
    DEFAULT_TRANSCRIPTION_MODEL,
    Holiday,
    OpeningHours,
    Settings,
    TurnTaking,
)
from thirdring.workflow import AgentPart, Workflow

KEY = {"client_email": "a@b.example", "private_key": "hunter2"}
ENVIRON = {
    "ANNA": "json://anna:hunter2@example.com",
    "NAME": "hunter2",
    "ACCOUNT": json.dumps(KEY),
    "HALF_ACCOUNT": json.dumps({"client_email": "hunter2@b.example"}),
    "INSIDE_ACCOUNT": json.dumps(KEY | {"token_uri": "http://10.0.0.7/hunter2"}),
}


@llm.function_tool
async def opening_hours() -> str:
    """Say when the clinic is open."""
    return ""


@llm.function_tool
async def find_person() -> str:
    """Find somebody."""
    return ""


WORKFLOWS = {
    "patient_questions": Workflow(
        name="patient_questions", tools=(opening_hours,), greeting="Hello."
    ),
    "orchestra": Workflow(
        name="orchestra",
        greeting="Hello.",
        agents=(AgentPart(name="finder", when="somebody is missed", tools=(find_person,)),),
    ),
}


def load(folder: Path, text: str) -> Settings:
    path = folder / "thirdring.yaml"
    path.write_text(text)
    return config.load(path, workflows=WORKFLOWS, environ=ENVIRON)


def problems(folder: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return caught.value.problems


@pytest.mark.parametrize("name", BAD)
def test_each_mistake_is_told_with_place_value_and_remedy(name: str, tmp_path: Path) -> None:
    """One mistake gives what it should and no more, word for word, and no secret."""
    old, new, *expected = BAD[name]
    assert old in FULL
    found = [str(problem) for problem in problems(tmp_path, FULL.replace(old, new, 1))]
    file = str(tmp_path / "thirdring.yaml")
    assert found == [f"{file}:{text.replace('FILE', file)}" for text in expected]
    assert "hunter2" not in "".join(found)


def test_all_that_a_business_says_arrives_typed(tmp_path: Path) -> None:
    """People, calendar, tools and servers, with secrets that show in no text."""
    (clinic,) = load(tmp_path, FULL).businesses
    assert clinic.holidays == (
        Holiday(day=date(2026, 12, 25), name="Christmas Day"),
        Holiday(day=date(2026, 12, 24), hours=(OpeningHours(opens=time(9), closes=time(12)),)),
    )
    anna = clinic.staff["Anna Reyes"]
    assert (anna.name, anna.number, anna.urgent_only) == ("Anna Reyes", "+12025550111", True)
    assert [url.get_secret_value() for url in anna.notify] == [ENVIRON["ANNA"]]
    assert clinic.destinations["front_desk"].when == "the caller asks for a person"
    assert clinic.languages == ("en", "es-MX")
    assert clinic.calendar.caldav
    assert clinic.calendar.caldav.password.get_secret_value() == "hunter2"
    assert clinic.memory.retention_days == 30
    stock = clinic.tools["stock"]
    assert (stock.name, stock.method, stock.timeout_seconds) == ("stock", "GET", 2.5)
    assert stock.headers["Authorization"].get_secret_value() == "Bearer hunter2"
    assert (stock.arguments["article"].type, stock.arguments["size"].choices) == (
        "integer",
        ("S", "L"),
    )
    assert clinic.mcp_servers["docs"].allowed_tools == ("find_page",)
    assert "hunter2" not in repr(clinic)


def test_a_line_goes_before_its_business(tmp_path: Path) -> None:
    """Voice and each limit are the line's own where it has one, else those of the business."""
    (clinic,) = load(tmp_path, FULL).businesses
    first, second = clinic.lines
    assert [line.voice for line in clinic.lines] == ["cedar", "verse"]
    assert (clinic.agent_name, first.agent_name, second.agent_name) == ("Robin", None, "Kim")
    assert second.instructions == "Say goodbye."
    limits = first.limits
    assert (limits.call_minutes, limits.reply_tokens, limits.tool_calls) == (10, 200, 5)
    assert second.limits == clinic.limits
    assert first.transcription_model == DEFAULT_TRANSCRIPTION_MODEL
    assert second.transcription_model == "gpt-live-transcribe"
    assert first.turn_taking is None
    assert second.turn_taking == TurnTaking(kind="server_vad", threshold=0.6, silence_ms=700)
    assert clinic.limits.tool_calls == 25


def test_a_business_may_say_nothing_of_all_this(tmp_path: Path) -> None:
    """Name, time zone and one line are enough."""
    text = (
        "version: 1\nbusinesses:\n  clinic:\n    name: Clinic\n    time_zone: UTC\n    lines:\n"
        '      - {number: "+12025550142", workflow: patient_questions}\n'
    )
    (clinic,) = load(tmp_path, text).businesses
    assert clinic.agent_name == "the virtual assistant"
    assert (clinic.lines[0].voice, clinic.languages, clinic.tools) == ("marin", ("en",), {})


def test_a_line_may_offer_tools_of_every_agent_of_its_workflow(tmp_path: Path) -> None:
    """Not only those of the first one."""
    text = FULL.replace(
        "workflow: patient_questions\n        tools: [opening_hours,",
        "workflow: orchestra\n        tools: [find_person,",
    )
    assert load(tmp_path, text).businesses[0].lines[0].tools == (
        "find_person",
        "stock",
        "find_page",
    )


@pytest.mark.parametrize(
    ("package", "section", "extra"),
    [
        ("icalendar", "calendar.caldav", "calendar"),
        ("cryptography", "calendar.google", "calendar"),
        ("mcp", "mcp_servers.docs", "mcp"),
        ("apprise", "staff['Anna Reyes'].notify[0]", "notify"),
    ],
)
def test_what_needs_a_package_says_how_to_get_it(
    package: str, section: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any call, and by name."""
    there = find_spec
    monkeypatch.setattr(
        "thirdring.config_outside_checks.find_spec",
        lambda name: None if name == package else there(name),
    )
    caldav = 'caldav: {url: "https://cal.example/c/", username: anna, password: "${NAME}"}'
    google = "google: {calendar: a@b.example, service_account: '${ACCOUNT}'}"
    text = FULL.replace(caldav, google) if "google" in section else FULL
    (problem,) = problems(tmp_path, text)
    assert problem.path == f"businesses.clinic.{section}"
    assert problem.expected == f"the extra {extra}: uv sync --inexact --extra {extra}"


def test_holidays_that_are_over_are_warned_of(tmp_path: Path) -> None:
    """Once for each business, from the day after."""
    settings, home = load(tmp_path, FULL.replace('"${ANNA}"', "")), Home(tmp_path)
    days = (date(2026, 12, 24), date(2026, 12, 25), date(2027, 1, 2))
    found = [config.warnings(settings, day, home) for day in days]
    assert found == [
        [],
        ["clinic: 1 of 2 holidays is over, the last 2026-12-24; take it out of the file"],
        ["clinic: 2 of 2 holidays are over, the last 2026-12-25; take them out of the file"],
    ]


def test_an_address_of_no_service_is_warned_of(tmp_path: Path) -> None:
    """Without the address, which may hold a secret."""
    settings = load(tmp_path, FULL.replace("${ANNA}", "nosuchservice://${NAME}"))
    (warning,) = config.warnings(settings, date(2026, 12, 1), Home(tmp_path))
    assert warning == (
        "clinic: no notification service understands an address of Anna Reyes, who is told nothing "
        "there"
    )
