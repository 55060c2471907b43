from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.peers.endpoint import serving
from tests.thirdring.records.kept import configuration, keep, records, settle, talk
from thirdring.home import Home
from thirdring.store.outbox import DeliveryState


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def problems(home: Home) -> list[str]:
    """Return what `status` names besides the courier, which none of these tests keeps running."""
    found = json.loads(records(home, "status", "--max-wait", "9999w", "--json").stdout)
    return [line for line in found["problems"] if "no courier runs" not in line]


async def test_dead_letters_are_dismissed_and_status_is_well_again(
    home: Home, tmp_path: Path
) -> None:
    """Many need a yes; the records stay, and the list says what became of their deliveries."""
    await keep(home, {f"call-{n}": talk() for n in range(3)}, url="http://127.0.0.1:9/")
    await settle(home, DeliveryState.DEAD, "call-1", "call-2")
    config = ("--config", str(configuration(tmp_path)))
    assert len(problems(home)) == 1
    done = records(home, "dismiss", "--all", *config)
    assert (done.exit_code, done.stdout) == (
        1,
        "riverside_clinic/webhook: 2 records would be dismissed, so far dead\n"
        "Nothing has been done: say --yes to dismiss 2 records.\n",
    )
    assert len(problems(home)) == 1
    done = records(home, "dismiss", "--all", "--yes", "--json", *config)
    assert (done.exit_code, json.loads(done.stdout)["records"]) == (0, 2)
    assert problems(home) == []
    assert records(home, "dead").stdout == ""
    listed = [json.loads(line) for line in records(home, "list", "--json").stdout.splitlines()]
    states = {call["call_id"]: call["deliveries"][0]["state"] for call in listed}
    assert states == {"call-0": "pending", "call-1": "dismissed", "call-2": "dismissed"}


async def test_one_call_is_dismissed_without_a_yes(home: Home, tmp_path: Path) -> None:
    """Once: the second time there is nothing left, which is no failure."""
    await keep(home, {"call-1": talk()}, url="http://127.0.0.1:9/")
    await settle(home, DeliveryState.DEAD, "call-1")
    config = ("--config", str(configuration(tmp_path)))
    done = records(home, "dismiss", "call-1", *config)
    assert (done.exit_code, done.stdout) == (
        0,
        "riverside_clinic/webhook: 1 record dismissed, so far dead\n",
    )
    done = records(home, "dismiss", "call-1", *config)
    assert (done.exit_code, done.stdout) == (0, "nothing to dismiss\n")


async def test_a_receiver_that_has_gone_for_good_is_no_problem_once_dismissed(
    home: Home, tmp_path: Path
) -> None:
    """Neither what it refused with 410 nor its being parked."""
    async with serving(410) as endpoint:
        await keep(home, {"call-1": talk()}, url=endpoint.url)
    assert len(problems(home)) == 1
    done = records(home, "dismiss", "--all", "--config", str(configuration(tmp_path)))
    assert (done.exit_code, problems(home)) == (0, [])


@pytest.mark.parametrize("arguments", [(), ("call-1", "--all")])
def test_it_must_be_clear_what_is_dismissed(home: Home, arguments: tuple[str, ...]) -> None:
    """Neither nothing nor two things at once."""
    done = records(home, "dismiss", *arguments)
    assert done.exit_code == 2
    assert "name one call, or say --all" in " ".join(done.stderr.split())
