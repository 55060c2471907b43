"""What operators see of messages and callers, and what they can have forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import typer
from typer.testing import CliRunner, Result

from tests.samples import at
from tests.thirdring.records.kept import CONTROL
from tests.thirdring.store.test_messages import CALLBACK, MESSAGE
from thirdring.errors import WrongUse
from thirdring.home import Home
from thirdring.notes.commands import callers, messages
from thirdring.store import Connection
from thirdring.store.callbacks import add_callback
from thirdring.store.memory import CallerFact, note_facts
from thirdring.store.messages import add_message
from thirdring.store.sqlite import SqliteStore

CLINIC, NUMBER = "riverside_clinic", "+12025550199"
FACT = CallerFact(CLINIC, NUMBER, "Prefers mornings.", "call-1", at(0))

T = TypeVar("T")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def write(home: Home, work: Callable[[Connection], T]) -> T:
    async with SqliteStore(home.store) as store:
        return await store.write(work)


def command(app: typer.Typer, home: Home, *arguments: str) -> Result:
    env = {"THIRDRING_HOME": str(home.root), "THIRDRING_STORE": None, "COLUMNS": None}
    with ThreadPoolExecutor(1) as thread:  # the command has an event loop of its own
        return thread.submit(CliRunner().invoke, app, arguments, env=env).result()


async def test_messages_are_listed(home: Home) -> None:
    """For people on a line each, for programs as JSON."""
    await write(home, lambda connection: add_message(connection, MESSAGE))
    shown = command(messages, home, "list").stdout
    assert "URGENT The parcel has come." in shown
    (found,) = map(json.loads, command(messages, home, "list", "--json").stdout.splitlines())
    assert (found["for_whom"], found["from_number"], found["urgent"]) == ("Dana", NUMBER, True)


async def test_without_messages_it_is_said(home: Home) -> None:
    """Also when the business has none."""
    await write(home, lambda connection: add_message(connection, MESSAGE))
    done = command(messages, home, "list", "--business", "other")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no such messages\n")


async def test_what_strangers_say_moves_no_terminal(home: Home) -> None:
    """A message is shown on one line."""
    wild = replace(MESSAGE, body=CONTROL)
    await write(home, lambda connection: add_message(connection, wild))
    lines = command(messages, home, "list").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].isprintable()


async def test_a_caller_is_shown_with_the_calls_it_is_known_from(home: Home) -> None:
    """What they said, and that they want to be called back."""
    await write(home, lambda connection: note_facts(connection, [FACT]))
    await write(home, lambda connection: add_callback(connection, CALLBACK))
    shown = command(callers, home, "show", NUMBER).stdout
    assert "Prefers mornings." in shown
    assert "Wants a call back: tomorrow at two" in shown
    (found,) = map(json.loads, command(callers, home, "show", NUMBER, "--json").stdout.splitlines())
    assert [(each["fact"], each["call_id"]) for each in found["facts"]] == [
        ("Prefers mornings.", "call-1")
    ]


async def test_a_caller_is_forgotten_for_good(home: Home) -> None:
    """Until an operator allows it again."""
    await write(home, lambda connection: note_facts(connection, [FACT]))
    done = command(callers, home, "forget", "+1 202 555 0199")
    assert done.stdout == f"{CLINIC}: 1 facts deleted; nothing is remembered from now on\n"
    assert await write(home, lambda connection: note_facts(connection, [FACT])) == 0
    assert "Wants nothing to be remembered" in command(callers, home, "show", NUMBER).stdout
    assert command(callers, home, "allow", NUMBER, "--business", CLINIC).exit_code == 0
    assert await write(home, lambda connection: note_facts(connection, [FACT])) == 1


async def test_a_stranger_may_be_forgotten_beforehand(home: Home) -> None:
    """Where a business is named; without one there is nobody to tell."""
    await write(home, lambda _: None)
    assert command(callers, home, "forget", NUMBER).exit_code == 1
    assert command(callers, home, "forget", NUMBER, "--business", CLINIC).exit_code == 0
    assert await write(home, lambda connection: note_facts(connection, [FACT])) == 0


async def test_a_number_that_is_none_is_wrong_use(home: Home) -> None:
    """It is told before any store is opened."""
    done = command(callers, home, "show", "555")
    assert isinstance(done.exception, WrongUse)
