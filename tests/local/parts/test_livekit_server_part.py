"""livekit-server is found where it should be, and runs on loopback alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from socket import SocketKind

import aiohttp
import psutil  # type: ignore[import-untyped]  # it has no types; livekit-agents brings it
import pytest
from livekit import api
from livekit.protocol import rtc

from local.parts.livekit_server import Keys, find_program, livekit_server
from local.parts.part import Part, running
from local.parts.ports import own_address
from thirdring.errors import PartError


def short_lived(part: Part) -> Part:
    """Return it with a short end: SIGTERM in its first 0.1 s livekit-server does not hear."""
    return replace(part, grace=0.2)


def program(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "livekit-server"
    path.write_text(f"#!/bin/sh\necho livekit-server version {version}\n")
    path.chmod(0o755)
    return path


def test_path_comes_before_the_cache(tmp_path: Path) -> None:
    """A fitting program on PATH is taken before the one in the cache."""
    on_path = program(tmp_path / "bin", "1.13.9")
    program(tmp_path / "cache", "1.13.5")
    assert find_program(path=str(tmp_path / "bin"), cache=tmp_path / "cache") == on_path


def test_another_version_on_path_is_passed_over(tmp_path: Path) -> None:
    """An older program on PATH gives way to the one in the cache."""
    program(tmp_path / "bin", "1.9.11")
    cached = program(tmp_path / "cache", "1.13.5")
    assert find_program(path=str(tmp_path / "bin"), cache=tmp_path / "cache") == cached


def test_a_program_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    """A program for another machine, or a broken one, is as good as none."""
    (tmp_path / "livekit-server").write_text("\x7fELF")
    (tmp_path / "livekit-server").chmod(0o755)
    assert find_program(path=str(tmp_path), cache=tmp_path / "none") is None


def test_without_a_program_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts the parts before the set-up learns how to run it."""
    monkeypatch.setattr("local.parts.livekit_server.find_program", lambda: None)
    with pytest.raises(PartError, match="`make setup` installs it"):
        livekit_server(tmp_path / "log", Keys())


@pytest.mark.server
async def test_it_serves_whoever_has_the_keys(tmp_path: Path) -> None:
    """A started livekit-server accepts the keys of this run and knows no room yet."""
    keys = Keys()
    part = short_lived(livekit_server(tmp_path / "livekit-server.log", keys))
    async with running([part]), api.LiveKitAPI(part.address, keys.api_key, keys.api_secret) as live:
        rooms = await live.room.list_rooms(api.ListRoomsRequest())
    assert list(rooms.rooms) == []
    assert keys.api_secret not in part.log.read_text() + " ".join(part.argv)


async def sockets_of(part: Part) -> set[tuple[SocketKind, str]]:
    """Run the part; return kind and address of each of its sockets."""
    async with running([part]):
        every = [
            child.net_connections("inet") for child in psutil.Process().children(recursive=True)
        ]
    # Other tests may have servers of their own, which last for the whole session.
    (ours,) = (
        sockets for sockets in every if part.ports[0].number in {at.laddr.port for at in sockets}
    )
    return {(SocketKind(socket.type), socket.laddr.ip) for socket in ours}


@pytest.mark.server
async def test_it_is_out_of_reach_for_other_machines(tmp_path: Path) -> None:
    """Each of its sockets, media included, is bound to loopback."""
    part = short_lived(livekit_server(tmp_path / "livekit-server.log", Keys()))
    assert {address for _, address in await sockets_of(part)} == {"127.0.0.1"}


@pytest.mark.server
async def test_of_the_machines_own_address_only_media_are_taken(tmp_path: Path) -> None:
    """Told the machine's own address, it takes media there too: no signalling, no other address."""
    own = own_address()
    part = short_lived(livekit_server(tmp_path / "livekit-server.log", Keys(), media_also_at=own))
    found = await sockets_of(part)
    assert {address for kind, address in found if kind is SocketKind.SOCK_STREAM} == {"127.0.0.1"}
    assert {address for kind, address in found if kind is SocketKind.SOCK_DGRAM} == {
        "127.0.0.1",
        own or "127.0.0.1",
    }


@pytest.mark.server
async def test_it_sends_nobody_to_the_internet(tmp_path: Path) -> None:
    """Who joins is told of one STUN server, on loopback: no name to look up, no packet out."""
    keys = Keys()
    part = short_lived(livekit_server(tmp_path / "livekit-server.log", keys))
    token = (
        api.AccessToken(keys.api_key, keys.api_secret)
        .with_identity("guest")
        .with_grants(api.VideoGrants(room_join=True, room="any"))
    )
    headers = {"Authorization": f"Bearer {token.to_jwt()}"}
    async with (
        running([part]),
        aiohttp.ClientSession(headers=headers) as client,
        client.ws_connect(f"{part.address}/rtc?protocol=9") as signalling,
    ):
        joined = rtc.SignalResponse.FromString(await signalling.receive_bytes(timeout=10)).join
    urls = [url for server in joined.ice_servers for url in server.urls]
    assert urls == ["stun:127.0.0.1:9"]
