"""What of a tool that others have made is read back."""

from __future__ import annotations

import random
import string
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from livekit.agents import RunContext, function_tool
from pydantic import JsonValue

from tests.peers.counts import tell
from tests.peers.tool_calls import Conversation, calling
from thirdring.calls import Role
from thirdring.state import CallState
from thirdring.store.sqlite import SqliteStore
from tools.confirming import Email, Moment, Name, Phone, Words
from tools.critical_arguments import confirmed, critical
from tools.guard import guarded

COUNT = 120


@guarded
async def _do(ctx: RunContext[CallState], raw_arguments: dict[str, JsonValue]) -> str:
    await confirmed(ctx, raw_arguments)
    return "Done."


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Conversation]:
    tool = function_tool(
        _do,
        raw_schema={"name": "do_it", "description": ".", "parameters": {"type": "object"}},
    )
    async with SqliteStore(tmp_path / "store.db") as store, calling(store, [tool]) as made:
        yield made


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("phone", "202 555 0182", Phone),
        ("whom", "+442079460123", Phone),
        ("contact", "jane.doe@example.com", Email),
        ("start", "2026-11-24T14:30", Moment),
        ("start", "2026-11-24 14:30:00+00:00", Moment),
        ("day", "2026-11-24", Words),
        ("day", "2026-13-45", Words),
        ("customer name", "Jane Doe", Name),
        ("order", "A-17", Words),
        ("pieces", 2, Words),
        ("price", 12.5, Words),
        ("note", "x" * 61, None),
        ("gift", True, None),
        ("emoji", "\N{GRINNING FACE}", None),
        ("nothing", "", None),
    ],
)
def test_a_value_is_critical_by_what_it_is(
    call: Conversation, name: str, value: object, kind: type | None
) -> None:
    """Numbers, addresses, days, names, ids and amounts; not long texts, nor yes and no."""
    found = critical(call.state, name, value)
    assert (None if found is None else type(found)) == kind


def _arguments(chance: random.Random) -> dict[str, Any]:
    """Return arguments as a tool may have them, nested at times."""

    def word(alphabet: str = string.ascii_letters + "äöñçø-' ", most: int = 12) -> str:
        return "".join(chance.choices(alphabet, k=chance.randint(1, most)))

    kinds: dict[str, Callable[[], Any]] = {
        "phone": lambda: f"202 555 {chance.randint(100, 199):04}",
        "email": lambda: f"{word(string.ascii_lowercase)}.{chance.randint(0, 99)}@example.com",
        "start": lambda: f"2026-12-{chance.randint(1, 28):02}T{chance.randint(0, 23):02}:15",
        "day": lambda: f"2027-01-{chance.randint(1, 28):02}",
        "customer_name": lambda: f"{word(string.ascii_letters)} {word(string.ascii_letters)}",
        "order": lambda: word(string.ascii_uppercase + string.digits + "-/"),
        "words": word,
        "pieces": lambda: chance.randint(-5, 5000),
        "price": lambda: round(chance.uniform(0, 999), 2),
        "gift": lambda: chance.random() < 0.5,
    }
    names = chance.sample(sorted(kinds), chance.randint(1, 4))
    made: dict[str, Any] = {name: kinds[name]() for name in names}
    return {"item": made, "list": [word()]} if chance.random() < 0.2 else made


async def test_what_is_asked_to_be_read_back_is_enough(
    call: Conversation, capsys: pytest.CaptureFixture[str]
) -> None:
    """An agent that says just that, and a caller who agrees, are understood, whatever it is."""
    chance = random.Random(6)
    misunderstood = []
    for _ in range(COUNT):
        call.state.tool_calls = 0
        arguments = _arguments(chance)
        if await call.agreed("do_it", None, **arguments) != "Done.":
            misunderstood.append(arguments)
    tell(capsys, f"read-backs that were not understood: {len(misunderstood)} of n={COUNT}")
    assert misunderstood == []


async def test_a_yes_to_another_value_is_none(
    call: Conversation, capsys: pytest.CaptureFixture[str]
) -> None:
    """Arguments that differ from what was read back are refused."""
    chance = random.Random(7)
    accepted = []
    tried = 0
    for _ in range(COUNT):
        call.state.tool_calls = 0
        first, other = _arguments(chance), _arguments(chance)
        shared = [name for name in first if name in other and first[name] != other[name]]
        shared = [name for name in shared if critical(call.state, name, other[name]) is not None]
        if not shared or "item" in first or "item" in other:
            continue
        tried += 1
        heard = await call.use("do_it", None, **first)
        call.hear(Role.AGENT, heard.split(": ", 2)[2].split(". When they agree")[0] + "?")
        call.hear(Role.CALLER, "Yes.")
        if await call.use("do_it", None, **{**first, shared[0]: other[shared[0]]}) == "Done.":
            accepted.append((first, shared[0], other[shared[0]]))
    tell(capsys, f"other values that passed for what was read back: {len(accepted)} of n={tried}")
    assert accepted == []
