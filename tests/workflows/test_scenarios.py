"""Every simulated caller of every workflow, played against the real plugin, tools and store."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from livekit.agents import AgentSession
from livekit.agents.voice.run_result import RunResult
from livekit.protocol.agent_simulation import Scenario as LiveKitScenario

from local.scenarios import Booking, Expected, Outcome, Scenario, ToolOutcome, load, unmet
from tests.peers.scripted_model import scripted_model
from tests.samples import LINE, SetClock, business, opened
from thirdring import prompts, session, workflow
from thirdring.agents import first_agent
from thirdring.errors import ConfigError
from thirdring.state import CallState
from thirdring.store import from_text
from thirdring.store.appointments import AppointmentBook, Reservation, slots_of
from thirdring.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2] / "workflows"
FILES = sorted(ROOT.glob("*/scenarios.yaml"))
CALLERS = [(path, scenario) for path in FILES for scenario in load(path).scenarios]
EXAMPLE = CALLERS[0][1].model_dump(mode="json")


@pytest.fixture
async def state(tmp_path: Path, scenario: Scenario) -> AsyncIterator[CallState]:
    """Return the state of this caller's call, with an appointment book of its own."""
    leg = opened().leg.model_copy(update={"caller": scenario.userdata.caller})
    clock = SetClock(scenario.userdata.now)
    async with SqliteStore(tmp_path / "store.db") as store:
        yield CallState(business=business(), line=LINE, leg=leg, store=store, clock=clock)


@pytest.fixture
async def agent_session(
    state: CallState, path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AgentSession[CallState]]:
    """Return the session that the worker would build, talking to the script in place of a model."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    played = workflow.discover()[path.parent.name]
    facts = {name: f"({name})" for name in (*workflow.CALL_FACTS, *played.facts)}
    told = prompts.fill(workflow.instructions(played), facts | {"facility_name": "Riverside"})
    agent = first_agent(LINE, played, lambda _name: told)
    agent.answered.set()
    async with scripted_model(seconds_per_character=0) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.server.url)
        started = session.agent_session(LINE, played, state)
        async with started:
            await started.start(agent, record=False)
            yield started
        await started.llm.aclose()  # type: ignore[union-attr]  # it has one


async def _take(state: CallState, scenario: Scenario, line: int) -> None:
    """Let somebody else book what is to be taken after this line."""
    today = scenario.userdata.now.date()
    for taken in scenario.userdata.taken:
        if taken.after_line != line:
            continue
        days = [today.fromordinal(today.toordinal() + ahead) for ahead in range(14)]
        slots = {slot.id: slot for day in days for slot in slots_of(state.business, day)}
        other = Reservation(slots[taken.slot], "Somebody Else", None, "other-call", taken.slot)
        book = AppointmentBook(state.store, state.business)
        assert await book.reserve(other, now=state.clock.now())


async def _bookings(state: CallState) -> tuple[Booking, ...]:
    rows = await state.store.read(
        lambda connection: connection.execute(
            "SELECT * FROM appointments WHERE call_id = ?", (state.leg.call_id,)
        ).fetchall()
    )
    zone = state.business.time_zone
    return tuple(
        Booking(
            slot=f"s_{from_text(row['starts_at']).astimezone(zone):%Y%m%d_%H%M}",
            name=row["patient_name"],
            phone=row["patient_phone"],
        )
        for row in rows
    )


async def play(scenario: Scenario, state: CallState, agent: AgentSession[CallState]) -> Outcome:
    """Say the caller's lines, one after the other."""
    tools, answers = [], []
    await _take(state, scenario, 0)
    for number, line in enumerate(scenario.userdata.says, 1):
        async with asyncio.timeout(20):
            result: RunResult[Any] = await agent.run(user_input=line)
        items = [event.item for event in result.events]
        answers.append(
            " ".join(item.text_content or "" for item in items if item.type == "message")
        )
        outputs = [item for item in items if item.type == "function_call_output"]
        tools += [ToolOutcome(name=item.name, refused=item.is_error) for item in outputs]
        await _take(state, scenario, number)
    ended = state.end_requested.is_set()
    return Outcome(tuple(tools), await _bookings(state), ended, tuple(answers))


@pytest.mark.parametrize(
    ("path", "scenario"), CALLERS, ids=[f"{p.parent.name}: {s.label}" for p, s in CALLERS]
)
async def test_afterwards_all_is_as_expected(
    scenario: Scenario, state: CallState, agent_session: AgentSession[CallState]
) -> None:
    """The words, the tools, the appointment book and the ending are those of the scenario."""
    outcome = await play(scenario, state, agent_session)
    assert unmet(scenario.userdata.expect, outcome) == []


def test_every_workflow_has_scenarios() -> None:
    """A prompt without a test of what must be true afterwards is a guess."""
    assert {path.parent.name for path in FILES} == set(workflow.discover())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_livekit_takes_the_same_keys(path: Path) -> None:
    """`lk agent simulate` reads the file too: each key is a field of its scenario."""
    known = set(LiveKitScenario.DESCRIPTOR.fields_by_name)
    assert set(Scenario.model_fields) <= known
    assert {key for one in load(path).scenarios for key in one.model_dump()} <= known


def rewritten(tmp_path: Path, change: dict[str, Any]) -> Path:
    """Return a file with one scenario whose userdata is changed."""
    path = tmp_path / "scenarios.yaml"
    userdata = EXAMPLE["userdata"] | change
    file = {"name": "x", "scenarios": [EXAMPLE | {"userdata": userdata}]}
    path.write_text(yaml.safe_dump(file), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"speaks": ["Hello"]}, "userdata.speaks: Extra inputs are not permitted"),
        ({"says": []}, "userdata.says: Tuple should have at least 1 item"),
        ({"expect": {"tools": [], "appointments": []}}, "expect.ended: Field required"),
        ({"taken": [{"slot": "s", "after_line": 9}]}, "a line that the caller does not say: 9"),
        ({"caller": "12"}, "userdata.caller: Value error, not an E.164 number"),
    ],
)
def test_a_wrong_file_names_its_place(tmp_path: Path, change: dict[str, Any], what: str) -> None:
    """File, line, column and key: as in every file of ours."""
    with pytest.raises(ConfigError) as raised:
        load(rewritten(tmp_path, change))
    assert what in str(raised.value)
    assert "scenarios.yaml:" in str(raised.value)


@pytest.mark.parametrize(
    "answer", [{"line": 1}, {"line": 3, "has": ["x"]}, {"line": 1, "contains": ["x"]}]
)
def test_an_expectation_that_is_never_checked_is_a_mistake(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    """It expects nothing, belongs to no line, or is spelled wrong."""
    expect = EXAMPLE["userdata"]["expect"] | {"answers": [answer]}
    with pytest.raises(ConfigError):
        load(rewritten(tmp_path, {"expect": expect}))


MET = Outcome((ToolOutcome(name="end_call"),), (), True, ("Goodbye.",))
EXPECTED = Expected.model_validate(
    {
        "tools": [{"name": "end_call"}],
        "appointments": [],
        "ended": True,
        "answers": [{"line": 1, "has": ["GOOD"], "lacks": ["dose"]}],
    }
)


def test_an_outcome_as_expected_leaves_nothing_unmet() -> None:
    """Upper and lower case are the same word."""
    assert unmet(EXPECTED, MET) == []


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("tools", ()),
        ("tools", (ToolOutcome(name="end_call", refused=True),)),
        ("appointments", (Booking(slot="s_1", name="x", phone=None),)),
        ("ended", False),
        ("answers", ("Bye.",)),
        ("answers", ("Good. A dose is one.",)),
    ],
)
def test_every_expectation_can_fail(field: str, other: Any) -> None:
    """Each field of what is expected is compared with what happened."""
    (line,) = unmet(EXPECTED, dataclasses.replace(MET, **{field: other}))
    assert field.removesuffix("s") in line


def test_all_that_can_be_expected_is_compared() -> None:
    """A field that is added to the one is added to the other."""
    assert set(Expected.model_fields) == {field.name for field in dataclasses.fields(Outcome)}
