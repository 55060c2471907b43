"""`python ring.py simulate`: scripted callers, callers played by a chat model, other agents."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from local.realtime.server import ChatModel
from local.scenarios import load
from local.simulate import AgentModel, Chosen, Result, Simulation, run, simulate
from local.simulate.command import chosen
from thirdring import workflow
from thirdring.errors import ConfigError, WrongUse
from thirdring.home import Home
from thirdring.metadata import Metadata

ROOT = Path(__file__).parents[3]
PATIENCE = 60

BOOKING = (
    "I'd like to book an appointment.",
    "Tuesday would be good.",
    "Nine a.m. please.",
    "My name is Mary Jones.",
    "Yes, that is right.",
    "No, that's all.",
)


class ChatServer:
    """A chat model over HTTP that answers as a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lines: tuple[str, ...] = BOOKING
        self.body: str | None = None
        self.status = 200

    async def complete(self, request: web.Request) -> web.Response:
        """Play the caller, or with `stream` the agent."""
        asked = await request.json()
        self.asked.append(asked)
        self.keys.append(request.headers.get("Authorization"))
        if asked.get("stream"):
            return web.Response(text=f"data: {json.dumps(_agent(asked['messages']))}\n\n")
        if self.body is not None or self.status != 200:
            return web.Response(text=self.body or "overloaded", status=self.status)
        said = sum(message["role"] == "assistant" for message in asked["messages"])
        line = self.lines[said] if said < len(self.lines) else "HANG UP"
        return web.json_response({"choices": [{"message": {"content": line}}]})


def _agent(messages: list[dict[str, Any]]) -> dict[str, Any]:
    last = messages[-1]
    delta: dict[str, Any] = {"content": "Hello."}
    if last["role"] == "user":
        function = {"name": "opening_hours", "arguments": "{}"}
        delta = {"tool_calls": [{"index": 0, "id": "c", "function": function}]}
    elif last["role"] == "tool":
        delta = {"content": f"In words of my own: {last['content']}"}
    return {"choices": [{"delta": delta}]}


@pytest.fixture
async def chat() -> AsyncIterator[tuple[ChatServer, str]]:
    """A chat server and its base URL."""
    server, app = ChatServer(), web.Application()
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield server, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    await runner.cleanup()


SETTING = Simulation(workflow.discover(), ROOT / "workflows")
CLINIC = SETTING.workflows["patient_questions"]
HOURS, BOOKS = "Opening hours", "Books an appointment"
TAKEN = "The time is taken meanwhile"


async def played(label: str, setting: Simulation = SETTING) -> Result:
    """Play the scenario of this label."""
    ((found, scenario),) = chosen(Chosen(CLINIC.name, label), setting.workflows, setting.folder)
    return await simulate(setting, found, scenario)


def caller(url: str) -> Simulation:
    """Return a setting whose callers are played by a chat model."""
    return dataclasses.replace(SETTING, caller=ChatModel(url, "tiny", "k"))


def copied(folder: Path) -> Simulation:
    """Return a setting whose files of the clinic may be changed."""
    shutil.copytree(SETTING.folder / CLINIC.name, folder / CLINIC.name)
    return dataclasses.replace(SETTING, folder=folder)


def ring(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command without anybody's keys."""
    ours = ("LIVEKIT_", "OPENAI_", "THIRDRING_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "ring.py", "simulate", *options],
        cwd=ROOT,
        env={**environ, "THIRDRING_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


async def test_a_row_for_each_scenario_and_a_sum(tmp_path: Path) -> None:
    """What was played, which tools were used, and that all is as expected."""
    text = io.StringIO()
    console = Console(file=text, width=100)
    await run(Home(tmp_path), SETTING, Chosen(CLINIC.name, HOURS), console=console, verbose=True)
    shown = text.getvalue()
    assert "caller  What are your opening hours?" in shown
    row = r"passed  patient_questions  Opening hours  +\d+\.\d  opening_hours, end_call\n"
    assert re.search(row, shown)
    assert shown.endswith("1 of 1 scenarios came out as expected.\n")


async def test_a_failed_scenario_shows_its_tool_calls_and_why_one_was_refused(
    tmp_path: Path,
) -> None:
    """Without any option, and to programs too: a name alone says nobody what to mend."""
    setting = copied(tmp_path)
    path = setting.folder / CLINIC.name / "scenarios.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("{name: book_appointment, refused: true}", "{name: end_call}"))
    shown = io.StringIO()
    (result,) = await run(
        Home(tmp_path),
        setting,
        Chosen(CLINIC.name, TAKEN),
        console=Console(file=shown, width=100),
    )
    calls = [line for line in shown.getvalue().splitlines() if line.startswith("        tool ")]
    assert [re.split(r"[ (]+", line)[2] for line in calls] == ["find_slots", "book_appointment"]
    found, booked = json.loads(json.dumps(result.document()))["tools"]
    assert (found["refused"], booked["refused"]) == (False, True)
    assert "taken" in booked["error"]
    assert f"→ refused: {booked['error']}" in calls[1]
    assert booked["arguments"]["slot_id"] == "s_20261124_0900"
    assert "caller  " not in shown.getvalue()


def test_json_for_programs(tmp_path: Path) -> None:
    """The whole aftermath of each scenario, and nothing else on the output."""
    done = ring(tmp_path, CLINIC.name, "--label", HOURS, "--json")
    (result,) = json.loads(done.stdout)
    assert (done.returncode, done.stderr, result["problems"]) == (0, "", [])
    assert [(tool["name"], tool["error"]) for tool in result["tools"]] == [
        ("opening_hours", None),
        ("end_call", None),
    ]
    assert len(result["answers"]) == len(result["said"]) + 1


@pytest.mark.parametrize(
    ("options", "code", "what"),
    [
        (("nonsense",), 2, "no workflow 'nonsense'; there are "),
        (("--openai", "--llm-base-url", "http://127.0.0.1:9"), 2, "two models for one agent"),
        (("--openai",), 1, "--openai needs a key: set OPENAI_API_KEY"),
    ],
)
def test_wrong_use_is_one_clear_message(
    tmp_path: Path, options: tuple[str, ...], code: int, what: str
) -> None:
    """No traceback, and an exit code."""
    done = ring(tmp_path, *options)
    assert done.returncode == code
    assert what in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("which", "labels"),
    [
        (Chosen("patient_questions", "OPENING"), {"Opening hours"}),
        (Chosen("patient_questions", tag="feature=disclosure"), {"Asks whether it is a robot"}),
        (Chosen("patient_questions", tag="feature=nothing"), set()),
        (Chosen("patient_questions", tag="nothing"), set()),
    ],
)
def test_labels_and_tags_choose(which: Chosen, labels: set[str]) -> None:
    """A part of a label in any case; a tag as it stands in the file."""
    scenarios = load(SETTING.folder / CLINIC.name / "scenarios.yaml").scenarios
    assert {scenario.label for scenario in scenarios if which.takes(scenario)} == labels


def test_a_choice_of_nothing_is_a_mistake() -> None:
    """No scenario at all must not look as if all had passed."""
    with pytest.raises(WrongUse, match="no scenario has this label or tag"):
        chosen(Chosen(label="no such label"), SETTING.workflows, SETTING.folder)


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (None, r"patient_questions/script\.yaml:1:1 document: cannot be read"),
        ("greting: Hello", r"script\.yaml:1:10 greting: is no key .* what docs/workflows\.md"),
    ],
)
async def test_a_wrong_script_is_told_once_and_no_scenario_failed(
    script: str | None, what: str, tmp_path: Path
) -> None:
    """It is the file that is wrong, whatever the callers would say."""
    setting, shown = copied(tmp_path), io.StringIO()
    path = setting.folder / CLINIC.name / "script.yaml"
    path.unlink()
    if script is not None:
        path.write_text(script)
    with pytest.raises(ConfigError, match=what):
        await run(Home(tmp_path), setting, Chosen(CLINIC.name), console=Console(file=shown))
    assert shown.getvalue() == ""


async def test_a_chat_model_plays_the_caller(chat: tuple[ChatServer, str]) -> None:
    """It is told whom it plays and what the agent says, and is judged by the same rows."""
    server, url = chat
    result = await played(BOOKS, caller(url))
    assert result.problems == ()
    told, first = server.asked[0]["messages"][:2]
    assert "You are Mary Jones." in told["content"]
    assert first["content"].startswith("Hello, thank you for calling Riverside Clinic.")
    assert set(server.keys) == {"Bearer k"}


async def test_a_caller_who_does_something_else_fails_the_scenario(
    chat: tuple[ChatServer, str],
) -> None:
    """However kindly it was said: what is not in the store was not done."""
    server, url = chat
    server.lines = ("Goodbye.",)
    problems = (await played(BOOKS, caller(url))).problems
    assert "appointments: got 0, expected 1: none" in problems
    assert "tools: book_appointment has not worked; used were end_call" in problems


async def test_a_caller_who_never_stops_is_stopped(chat: tuple[ChatServer, str]) -> None:
    """After twenty lines the call is over, whatever the model still has to say."""
    server, url = chat
    server.lines = ("Are you a real person?",) * 50
    await played(HOURS, caller(url))
    assert len(server.asked) == 20


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (500, None, "the caller's model answered 500: overloaded"),
        (200, "{}", "not a chat completion"),
        (200, "<html>", "the caller's model at "),
    ],
)
async def test_a_caller_without_a_voice_is_one_line(
    chat: tuple[ChatServer, str], status: int, body: str | None, what: str
) -> None:
    """A model that fails is no passed scenario."""
    server, url = chat
    server.status, server.body = status, body
    (problem,) = (await played(HOURS, caller(url))).problems
    assert what in problem


async def test_a_chat_model_answers_for_the_agent(chat: tuple[ChatServer, str]) -> None:
    """Its tools are the real ones; that it never hangs up is a failure, its words are not."""
    server, url = chat
    agent = AgentModel(ChatModel(url, "tiny"))
    result = await played(HOURS, dataclasses.replace(SETTING, agent=agent))
    assert result.played is not None
    said = result.played.aftermath.answers[1]
    assert said.startswith("In words of my own: Monday to Friday 9 AM")
    assert result.problems[-1] == "ended: the agent has not hung up"
    assert {asked["model"] for asked in server.asked} == {"tiny"}


async def test_an_agent_that_fails_is_one_line() -> None:
    """Nothing listens there: the scenario fails, and says with what."""
    agent = AgentModel(ChatModel("http://127.0.0.1:9/v1", "tiny"))
    (problem,) = (await played(HOURS, dataclasses.replace(SETTING, agent=agent))).problems
    assert problem.startswith("the agent's model says nothing: ")
    assert "server_error" in problem


async def test_a_simulated_call_books_in_no_store_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever database the environment names stays as it is."""
    monkeypatch.setenv("THIRDRING_STORE", "postgresql://nobody@127.0.0.1:9/none")
    assert (await played(BOOKS)).problems == ()
    assert os.environ["THIRDRING_STORE"].startswith("postgresql://nobody@")


async def test_a_call_for_an_errand_that_nobody_knows_is_a_failed_scenario() -> None:
    """It is refused before any agent is there, and says so."""
    ((found, scenario),) = chosen(Chosen(CLINIC.name, HOURS), SETTING.workflows, SETTING.folder)
    userdata = scenario.userdata.model_copy(update={"metadata": Metadata(errand="E-1")})
    changed = scenario.model_copy(update={"userdata": userdata})
    (problem,) = (await simulate(SETTING, found, changed)).problems
    assert "patient_questions has no errand E-1" in problem


@pytest.mark.parametrize(
    ("business", "what"),
    [
        ({"hours": {"sunnyday": []}}, "businesses.riverside.hours.sunnyday: unknown key"),
        ({"facts": None}, "businesses.riverside.facts: is not a mapping"),
    ],
)
async def test_a_wrong_business_is_said_with_its_place(
    business: dict[str, object], what: str
) -> None:
    """What a scenario says of its business is checked as `thirdring.yaml` is."""
    ((found, scenario),) = chosen(Chosen(CLINIC.name, HOURS), SETTING.workflows, SETTING.folder)
    wrong = scenario.userdata.model_copy(update={"business": business})
    changed = scenario.model_copy(update={"userdata": wrong})
    (problem,) = (await simulate(SETTING, found, changed)).problems
    assert what in problem


async def test_a_call_can_be_made_for_an_errand() -> None:
    """The agent for such calls speaks, and what it is told came of it is on the errand."""
    path = SETTING.folder / "concierge" / "scenarios.yaml"
    scenario = load(path).scenarios[0]
    details = {"restaurant": "Luigi's"}
    userdata = scenario.userdata.model_copy(update={"errand": details, "says": ("Hello?",)})
    changed = scenario.model_copy(update={"userdata": userdata})
    result = await simulate(SETTING, SETTING.workflows["concierge"], changed)
    assert result.played is not None, result.problems
    errand = result.played.aftermath.errand
    assert errand is not None
    assert (errand.kind, errand.state, errand.details) == ("concierge", "open", details)
