from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import Result

from tests.samples import ended, opened, spoken, used
from tests.thirdring.records.kept import CONTROL, at_once, keep, records, settle, talk, write
from thirdring.calls import EndReason, Role
from thirdring.errors import PhoneError
from thirdring.home import Home
from thirdring.journal import Entry, Journal
from thirdring.record import record_id
from thirdring.store.outbox import DeliveryState

HOSTILE: Mapping[str, Sequence[Entry]] = {
    f"call-{CONTROL}": [
        spoken(0, text=CONTROL),
        spoken(1, role=Role.AGENT, text=f"{CONTROL}\n\n00:00 --> 00:01\n# {CONTROL}"),
        used(2).model_copy(update={"use": used(2).use.model_copy(update={"error": CONTROL})}),
        ended(4),
    ]
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Return a home with a call by somebody who means ill, whose record nobody takes."""
    home = Home(tmp_path_factory.mktemp("hostile"))
    at_once(keep(home, HOSTILE, url="http://127.0.0.1:9/"))
    at_once(settle(home, DeliveryState.DEAD, *HOSTILE))
    return home


def obeyed(text: str) -> list[str]:
    """Return what a terminal or a reader would not show but do."""
    return [f"U+{ord(c):04X}" for c in text if not c.isprintable() and c not in "\n\u200c\u200d"]


def problem(result: Result) -> str:
    assert isinstance(result.exception, PhoneError), result.exception
    return str(result.exception)


async def test_calls_are_listed_for_programs(home: Home) -> None:
    """One JSON object per line, the ids whole, every delivery with what became of it."""
    await keep(home, {"one": talk(), "two": talk("a", "b")}, url="http://127.0.0.1:9/")
    done = records(home, "list", "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert {first["call_id"], second["call_id"]} == {"one", "two"}
    assert first["record_id"] == str(record_id(first["call_id"]))
    (delivery,) = first["deliveries"]
    assert (delivery["sink"], delivery["state"], delivery["attempts"]) == ("webhook", "pending", 1)
    assert delivery["last_error"]


async def test_usual_names_are_whole_at_80_columns(home: Home) -> None:
    """Neither name nor number is cut or folded; a call without a number has a dash instead."""
    leg = opened().leg.model_copy(update={"call_id": "call-2", "caller": None})
    nobody = opened().model_copy(update={"leg": leg})
    async with Journal.create(home.journals, nobody) as journal:
        for entry in talk():
            journal.append(entry)
    await keep(home, {"call-1": talk()}, url="http://127.0.0.1:9/")
    listed = records(home, "list", columns=80).stdout
    assert "riverside_clinic +12025550199 " in listed
    assert "riverside_clinic -            " in listed
    assert "hidden" not in listed
    shown = records(home, "status", columns=80).stdout.partition("\n\n")[2].splitlines()
    assert shown[1].startswith("riverside_clinic webhook pending ")
    assert max(len(line) for line in shown[:2]) <= 80


async def test_a_table_is_as_wide_as_there_is_room(home: Home) -> None:
    """One line per call, never longer than the terminal; with room, and into a pipe, nothing is
    left out."""
    call_id = "SCL_" + 12 * "x"
    await keep(home, {call_id: talk(), "two": talk()}, url="http://127.0.0.1:9/")
    for columns in (80, 120, None):
        lines = records(home, "list", columns=columns).stdout.splitlines()
        assert len(lines) == 3
        assert max(map(len, lines)) <= (columns or 1000)
        assert (call_id in "".join(lines)) == (columns != 80)
        assert sum(str(record_id(call_id))[:7] in line for line in lines) == 1
        assert all("pending" in line and "caller_hung_up" in line for line in lines[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--json"),
        ("dead",),
        ("dead", "--json"),
        ("show", "call-", "--format", "text"),
        ("show", "call-", "--format", "json"),
        ("show", "call-", "--format", "markdown"),
        ("show", "call-", "--format", "webvtt"),
        ("show", f"{CONTROL[:-3]}nobody"),
        ("list", "--since", CONTROL[:8]),
        ("list", "--ending", CONTROL[:8]),
    ],
)
def test_no_terminal_obeys_a_caller(hostile: Home, arguments: tuple[str, ...]) -> None:
    """Escape sequences and marks that turn text around are shown, not done, by every command."""
    for columns in (80, None):
        done = records(hostile, *arguments, columns=columns)
        shown = f"{done.output}{done.exception or ''}"
        assert len(shown) > 20
        assert obeyed(shown) == []


def test_json_says_what_was_said(hostile: Home) -> None:
    """What no terminal may get is escaped, not lost: the text is that of the record."""
    shown = json.loads(records(hostile, "show", "call-", "--format", "json").stdout)
    assert shown["turns"][0]["text"] == CONTROL.replace("\ud83d", "?")


async def test_a_call_is_shown_by_any_of_its_names(home: Home) -> None:
    """By call id, by record id, and by how one of them begins."""
    entries: list[Entry] = [spoken(0, text="Are you open?"), used(1), ended(3, EndReason.COMPLETED)]
    await keep(home, {"the-call": entries})
    whole = str(record_id("the-call"))
    for name in ("the-call", "the-c", whole, whole[:6], whole.upper()):
        shown = records(home, "show", name, columns=80).stdout
        for part in ("Are you open?", "opening_hours() → Closed all week.", "completed (by the ag"):
            assert part in shown
        assert "kept: the business had no sink" in shown
        assert max(map(len, shown.splitlines())) <= 80


async def test_a_name_that_means_nothing_or_too_much_is_explained(home: Home) -> None:
    """Near names are offered, all that are meant are listed, a call without a record is known."""
    await keep(home, {"call-17": talk(), "call-18": talk()})
    await write(home, "call-99", [spoken(0)])
    assert "no call and no record is call-71; near to it: call-1" in problem(
        records(home, "show", "call-71")
    )
    many = problem(records(home, "show", "call-1"))
    assert many.startswith("call-1 is how more than one begins:\n  ")
    assert all(name in many for name in ("call-17", "call-18"))
    assert "call-99 has no record yet: its journal," in problem(records(home, "show", "call-99"))
    assert "no call was named" in problem(records(home, "show", " "))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--since", "soon"), "--since is soon; expected a date such as 2026-11-20"),
        (("list", "--until", "99999w0"), "--until is 99999w0; expected"),
        (("list", "--since", "999999w"), "--since is 999999w; expected"),
        (("list", "--ending", "complete"), "--ending is complete; did you mean completed?"),
        (("list", "--caller", "Bob"), "--caller is Bob; expected a number such as"),
        (("dead", "--sink", "fax"), "--sink is fax; expected one of webhook, file, mongodb"),
        (("show", "x", "--format", "pdf"), "--format is pdf; expected one of text, json"),
        (("status", "--max-wait", "long"), "--max-wait is long; expected how long, such as 90m"),
    ],
)
def test_a_wrong_option_is_one_line(
    hostile: Home, arguments: tuple[str, ...], message: str
) -> None:
    """It says the option, what it was given and what it expects."""
    assert problem(records(hostile, *arguments)).startswith(message)


def test_without_a_store_the_variables_are_named(home: Home) -> None:
    """Whoever looks in the wrong place learns how to look in another; nothing is made."""
    for command in ("list", "dead", "status", "verify"):
        said = problem(records(home, command))
        assert "there are no records yet" in said
        assert "THIRDRING_HOME" in said
    assert list(home.root.iterdir()) == []


async def test_dead_letters_are_listed(home: Home) -> None:
    """With the last error, since when and how many attempts; what is under way is not."""
    await keep(home, {"one": talk(), "two": talk()}, url="http://127.0.0.1:9/")
    assert records(home, "dead").stderr == "no dead letters\n"
    await settle(home, DeliveryState.DEAD, "two")
    (letter,) = map(json.loads, records(home, "dead", "--json").stdout.splitlines())
    assert letter["call_id"] == "two"
    assert letter["delivery"]["state"] == "dead"
    assert letter["delivery"]["attempts"] == 2
    assert letter["delivery"]["last_error"].startswith("HTTP 500")
    lines = records(home, "dead", columns=80).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("dead ")


async def test_calls_are_listed_while_one_goes_on(home: Home) -> None:
    """A call without a record is in no list yet."""
    await keep(home, {"one": talk()})
    async with Journal.create(home.journals, opened("two")):
        assert len(records(home, "list", "--json").stdout.splitlines()) == 1
