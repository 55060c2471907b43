"""A courier that is rung for looks at once."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from tests.peers.couriers import at_url, running, until, write
from tests.peers.endpoint import serving
from tests.samples import ended
from thirdring.courier.doorbell import answering
from thirdring.home import Home
from thirdring.journal import wake


@pytest.mark.parametrize("deep", [False, True], ids=["short", "deep"])
async def test_a_closed_journal_is_found_without_looking_around(
    tmp_path: Path, deep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer rings, however deep down the home is."""
    monkeypatch.setattr("thirdring.courier.service._LOOK_SECONDS", 60)
    monkeypatch.setattr("thirdring.courier.service._LONGEST_LOOK_SECONDS", 60)
    home = Home(tmp_path / ("d" * 120 if deep else "d"))
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await until((home.root / "courier.sock").exists)
        await write(home, ended(1))
        await endpoint.wait(1)
    assert not (home.root / "courier.sock").exists()


@pytest.mark.parametrize("left", ["socket", "file", "link"])
async def test_what_stands_in_its_place_is_replaced(tmp_path: Path, left: str) -> None:
    """A socket of a dead courier, or anything else of that name: it is ours alone afterwards."""
    path = tmp_path / "courier.sock"
    if left == "socket":
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(str(path))
    elif left == "file":
        path.write_text("something")
    else:
        path.symlink_to(tmp_path / "elsewhere")
    rang = asyncio.Event()
    with answering(tmp_path, rang.set):
        mode = path.lstat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
        wake(tmp_path / "journals")
        await asyncio.wait_for(rang.wait(), 10)
    assert list(tmp_path.iterdir()) == []


async def test_without_a_socket_the_courier_works_all_the_same(home: Home) -> None:
    """A folder of that name is left alone; the courier looks around by itself."""
    (home.root / "courier.sock").mkdir(parents=True)
    async with serving() as endpoint, running(home, at_url(endpoint.url)):
        await write(home, ended(1))
        await endpoint.wait(1)
