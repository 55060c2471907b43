"""What the assistant is told, and what its calls leave behind."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.tool_calls import Conversation, calling
from thirdring import prompts, workflow
from thirdring.outcome import OutcomeSheet
from thirdring.store.sqlite import SqliteStore
from workflows.assistant import AssistantOutcome

ASSISTANT = workflow.discover()["assistant"]
EVENT = {"title": "The roof", "day": "Monday", "start": "two", "with_name": "Ada Byron"}
MESSAGE = {"text": "The keys are with the neighbor.", "caller_name": "Ada Byron"}


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Conversation]:
    async with (
        SqliteStore(tmp_path / "store.db") as store,
        calling(store, ASSISTANT.tools) as conversation,
    ):
        conversation.state.outcome = OutcomeSheet(AssistantOutcome, lambda _: None)
        yield conversation


def known(call: Conversation) -> AssistantOutcome:
    value = call.state.outcome.value
    assert isinstance(value, AssistantOutcome)
    return value


def test_every_tool_is_explained_and_no_other_is_named() -> None:
    """What the instructions call in backticks is a tool."""
    named = set(re.findall(r"`(\w+)`", workflow.instructions(ASSISTANT)))
    assert named == {tool.info.name for tool in ASSISTANT.tools}


@pytest.mark.parametrize(
    "rule",
    ["Never say what is in the calendar", "You cannot put calls through", "dial 911", "virtual"],
)
def test_what_must_not_be_left_out(rule: str) -> None:
    """Whom the owner meets is nobody's business; honesty is not up to the model."""
    assert rule in workflow.instructions(ASSISTANT)


def test_the_greeting_says_whose_assistant_it_is() -> None:
    """And that the owner is not there."""
    facts = {"agent_name": "Kim", "business_name": "Morgan Reyes"}
    assert prompts.fill(ASSISTANT.greeting, facts) == (
        "Hello, this is Kim of Morgan Reyes, who cannot take your call right now. "
        "Who is calling, please, and what is it about?"
    )


@pytest.mark.parametrize(
    ("said", "urgency"),
    [
        ("urgent", "urgent"),
        ("It is not urgent.", "can wait"),
        ("can wait", "can wait"),
        ("Right away!", "urgent"),
        ("today, please", "today"),
    ],
)
async def test_urgency_is_understood_in_any_words(
    call: Conversation, said: str, urgency: str
) -> None:
    """As one of three."""
    noted = json.loads(await call.use("note_call", reason="The roof", urgency=said))
    assert noted["known"]["urgency"] == urgency


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"urgency": "purple"}, "urgency"),
        ({"number": "555"}, "phone number is not complete"),
        ({"messages": ["m"]}, "no argument messages"),
        ({"caller_name": "x" * 200}, "caller_name"),
    ],
)
async def test_what_does_not_fit_is_not_noted(
    call: Conversation, change: dict[str, Any], reason: str
) -> None:
    """Nor does the model count what was done."""
    answer = await call.use("note_call", None, **change)
    assert answer.startswith("REFUSED: ")
    assert reason in answer
    assert known(call) == AssistantOutcome()


async def test_a_call_leaves_what_came_of_it(call: Conversation) -> None:
    """Who and why from the model; number, messages and meetings from code."""
    await call.use("note_call", caller_name="Ada Byron", reason="The roof", urgency="can wait")
    event = json.loads(await call.agreed("add_event", **EVENT))
    message = json.loads(await call.agreed("take_message", **MESSAGE))
    assert known(call) == AssistantOutcome(
        caller_name="Ada Byron",
        number="+12025550199",
        reason="The roof",
        urgency="can wait",
        messages=(message["message_id"],),
        events=(event["event_id"],),
    )
    assert known(call).missing() == ()


async def test_what_was_refused_is_not_counted(call: Conversation) -> None:
    """Without a yes there is neither message nor meeting."""
    await call.use("take_message", **MESSAGE)
    await call.use("add_event", **EVENT)
    assert (known(call).messages, known(call).events) == ((), ())


def test_the_owner_is_told_in_words() -> None:
    """At once when it is urgent; of nobody who said nothing."""
    outcome = AssistantOutcome(
        caller_name="Rosa Diaz",
        number="+12025550188",
        reason="Water",
        urgency="urgent",
        messages=("m-1",),
    )
    summary = outcome.summary()
    assert summary is not None
    assert (summary.title, summary.urgent) == ("Rosa Diaz called", True)
    assert summary.body == "Why: Water\nNumber: +12025550188\nHow urgent: urgent\nMessages: 1"
    assert AssistantOutcome(number="+12025550188").summary() is None


def test_a_caller_who_waits_is_told_so() -> None:
    """This workflow says that it is connecting."""
    assert ASSISTANT.connecting
