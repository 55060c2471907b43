"""What the home service says, and what its model is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.realtime.brain.script import Call, Script, load
from thirdring import prompts, workflow

HOME_SERVICE = workflow.discover()["home_service"]
SCRIPT = Path(__file__).parents[2] / "workflows" / "home_service" / "script.yaml"


def _of_calls(script: Script) -> Iterator[Call]:
    for goal in script.goals.values():
        yield from (step.call for step in goal.steps if step.call is not None)
    yield from (rule.call for rule in script.rules if rule.call is not None)


def said(script: Script) -> Iterator[str]:
    """Yield everything that the script can say by itself."""
    yield script.greeting
    yield from (slot.ask for slot in script.slots.values())
    yield from (one.say for one in script.instructed)
    yield from (rule.say for rule in script.rules if rule.say is not None)
    for call in _of_calls(script):
        yield from filter(None, (call.then, call.unavailable))


@pytest.mark.parametrize("text", sorted(set(said(load(SCRIPT)))))
def test_a_reply_has_fewer_than_three_sentences(text: str) -> None:
    """A caller on the phone listens to no more."""
    assert len(re.findall(r"[.!?](?:\s|$)", re.sub(r"\{[^}]+\}", "x", text))) < 3


def test_the_model_is_told_to_speak_in_one_or_two_sentences() -> None:
    """What holds for the script is asked of the model."""
    assert "one or two short sentences" in workflow.instructions(HOME_SERVICE)


def test_every_tool_is_explained_and_no_other_is_named() -> None:
    """What the instructions call in backticks is a tool or a part of one."""
    told = workflow.instructions(HOME_SERVICE)
    named = set(re.findall(r"`(\w+)`", told))
    tools = {tool.info.name for tool in HOME_SERVICE.tools}
    assert named - {"slot_id", "urgent"} == tools


def test_no_placeholder_is_unknown() -> None:
    """All that the instructions use is among the facts that every call has."""
    assert prompts.placeholders(workflow.instructions(HOME_SERVICE)) <= workflow.CALL_FACTS
