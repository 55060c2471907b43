from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.samples import at
from thirdring.errors import ToolRefused
from thirdring.store import Connection, Store
from thirdring.store.effects import once


async def note(store: Store, key: str, text: str) -> str:
    """Note a text for a key: what it does can be counted."""

    def work(connection: Connection) -> str:
        connection.execute(
            "INSERT INTO caller_opt_outs (business, number, call_id, opted_out_at)"
            " VALUES (?, ?, ?, ?)",
            ("clinic", text, "call-1", "now"),
        )
        return text

    return await once(
        store, key=key, business="clinic", call_id="call-1", tool="note", now=at(0), work=work
    )


async def noted(store: Store) -> list[str]:
    rows = await store.read(
        lambda connection: connection.execute(
            "SELECT number FROM caller_opt_outs ORDER BY number"
        ).fetchall()
    )
    return [row["number"] for row in rows]


async def test_an_effect_happens_once(store: Store) -> None:
    """The second time it is asked for, its first result is told, and nothing is done."""
    assert await note(store, "call-1:a", "one") == "one"
    assert await note(store, "call-1:a", "two") == "one"
    assert await noted(store) == ["one"]


async def test_another_tool_call_has_an_effect_of_its_own(store: Store) -> None:
    """The key is the tool call, not the tool."""
    await note(store, "call-1:a", "one")
    assert await note(store, "call-1:b", "two") == "two"
    assert await noted(store) == ["one", "two"]


async def test_what_fails_may_be_asked_for_again(store: Store) -> None:
    """A refusal leaves neither the effect nor its key."""

    def refuse(connection: Connection) -> str:
        connection.execute(
            "INSERT INTO caller_opt_outs (business, number, call_id, opted_out_at)"
            " VALUES ('clinic', 'half', 'call-1', 'now')"
        )
        raise ToolRefused("Not now.")

    with pytest.raises(ToolRefused, match="Not now"):
        await once(
            store,
            key="call-1:a",
            business="clinic",
            call_id="call-1",
            tool="note",
            now=at(0),
            work=refuse,
        )
    assert await noted(store) == []
    assert await note(store, "call-1:a", "one") == "one"


async def test_of_many_at_once_one_happens(store: Store, another: Callable[[], Store]) -> None:
    """Several processes that ask under one key all hear what the first of them did."""
    others = [another() for _ in range(4)]
    async with others[0], others[1], others[2], others[3]:
        for round_ in range(10):
            asked = [
                note(each, f"call-1:{round_}", f"{round_} by {number}")
                for number, each in enumerate((store, *others))
            ]
            assert len(set(await asyncio.gather(*asked))) == 1
    assert len(await noted(store)) == 10
