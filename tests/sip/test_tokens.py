"""Tokens for browsers: one room, one line, no more rights than a caller needs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from livekit import api, rtc
from livekit.api.access_token import Claims
from pydantic import SecretStr

from local.parts.livekit_server import Keys, livekit_server
from local.parts.part import running
from sip.tokens import mint, validity
from thirdring import AGENT_NAME, watching
from thirdring.access import LiveKitAccess
from thirdring.errors import ConfigError
from thirdring.settings import Line

ROOT = Path(__file__).parents[2]
KEYS = Keys()
LINE = Line(number="+12025550142", workflow="patient_questions")
CONFIGURATION = """
version: 1
businesses:
  clinic:
    name: Riverside Clinic
    time_zone: UTC
    lines: [{number: "+12025550142", workflow: patient_questions}]
  spa:
    name: Hill Spa
    time_zone: UTC
    lines: [{number: "+12025550188", workflow: patient_questions}]
default_line: "+12025550142"
"""


def access(url: str = "ws://127.0.0.1:7880") -> LiveKitAccess:
    return LiveKitAccess(url=url, api_key=KEYS.api_key, api_secret=SecretStr(KEYS.api_secret))


def ring(tmp_path: Path, *arguments: str, server: bool = True) -> subprocess.CompletedProcess[str]:
    configuration = tmp_path / "lines.yaml"
    configuration.write_text(CONFIGURATION)
    ours = ("LIVEKIT_", "OPENAI_", "THIRDRING_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    if server:
        environ |= {
            "LIVEKIT_URL": "ws://127.0.0.1:7880",
            "LIVEKIT_API_KEY": KEYS.api_key,
            "LIVEKIT_API_SECRET": KEYS.api_secret,
        }
    return subprocess.run(
        [sys.executable, "ring.py", *arguments, "--config", str(configuration)],
        cwd=ROOT,
        env={**environ, "THIRDRING_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def claims(token: str) -> Claims:
    return api.TokenVerifier(KEYS.api_key, KEYS.api_secret).verify(token)


def test_a_token_opens_one_room_in_which_our_agent_answers_that_line() -> None:
    """Room, dispatch and rights are in the token itself, signed; nothing else is granted."""
    minted = mint(access(), LINE, validity=timedelta(minutes=5))
    found = claims(minted.token)
    assert found.video is not None
    assert found.room_config is not None
    granted = {name: value for name, value in vars(found.video).items() if value}
    (dispatch,) = found.room_config.agents
    assert granted == {
        "room_join": True,
        "room": minted.room,
        "can_publish": True,
        "can_publish_sources": ["microphone"],
        "can_publish_data": True,
        "can_subscribe": True,
    }
    assert dispatch.agent_name == AGENT_NAME
    assert json.loads(dispatch.metadata) == {"line": LINE.number}
    assert found.attributes == {watching.ATTRIBUTE: "true"}


def test_no_two_tokens_share_a_room() -> None:
    """Each token is a call of its own, and its secret is in no representation."""
    first, second = (mint(access(), LINE, validity=timedelta(minutes=5)) for _ in range(2))
    assert len({first.room, second.room}) == len({first.identity, second.identity}) == 2
    assert first.token not in repr(first)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("12H", 43200), (" 7d ", 604800)]
)
def test_a_validity_is_read(text: str, seconds: int) -> None:
    """A number and a unit make a duration."""
    assert validity(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "0s", "1", "1w", "-1h", "31d", "1h30m", "9999999d", "\u0661h"]
)
def test_what_is_no_validity_is_refused(text: str) -> None:
    """Anything else is a mistake that is named, never a token that lasts for ever."""
    with pytest.raises(ConfigError, match="--valid-for: is no duration"):
        validity(text)


def test_the_command_prints_what_the_playground_asks_for(tmp_path: Path) -> None:
    """URL and token stand alone on stdout; a number may be typed with spaces and brackets."""
    done = ring(tmp_path, "token", "+1 (202) 555-0188", "--valid-for", "30m")
    url, token = (line.partition("=") for line in done.stdout.splitlines())
    configuration = claims(token[2]).room_config
    assert done.returncode == 0
    assert url == ("LIVEKIT_URL", "=", "ws://127.0.0.1:7880")
    assert token[0] == "LIVEKIT_TOKEN"
    assert configuration is not None
    assert json.loads(configuration.agents[0].metadata) == {"line": "+12025550188"}
    assert done.stderr.startswith("For one call to Hill Spa, +12025550188; enter by ")


def test_a_line_that_does_not_exist_gets_no_token(tmp_path: Path) -> None:
    """One message names the lines that there are and the nearest one; the exit code is 2."""
    done = ring(tmp_path, "token", "+12025550189")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "command LINE: no line has this number, got +12025550189; expected one of +12025550142 "
        "(Riverside Clinic), +12025550188 (Hill Spa); did you mean +12025550188?\n"
    )


def test_without_a_server_there_is_no_token(tmp_path: Path) -> None:
    """What is missing is named, one line each."""
    done = ring(tmp_path, "token", server=False)
    missing = [line.split(" ")[1] for line in done.stderr.splitlines()]
    assert done.returncode == 2
    assert missing == ["LIVEKIT_URL:", "LIVEKIT_API_KEY:", "LIVEKIT_API_SECRET:"]


@pytest.mark.server
async def test_a_browser_cannot_make_itself_more_than_a_caller(tmp_path: Path) -> None:
    """With the token one can neither change what one is nor let a second person in."""
    part = livekit_server(tmp_path / "log", KEYS)
    async with running((part,)):
        assert part.address is not None
        minted = mint(access(part.address), LINE, validity=timedelta(minutes=1))
        room, second = rtc.Room(), rtc.Room()
        await room.connect(minted.url, minted.token)
        await room.local_participant.set_attributes({"sip.phoneNumber": "+12025550100"})
        other = (
            api.AccessToken(KEYS.api_key, KEYS.api_secret)
            .with_identity("other")
            .with_grants(api.VideoGrants(room_join=True, room=minted.room))
            .to_jwt()
        )
        with pytest.raises(rtc.ConnectError):
            await second.connect(minted.url, other, rtc.RoomOptions(connect_timeout=2))
        async with (
            asyncio.timeout(10),
            api.LiveKitAPI(minted.url, KEYS.api_key, KEYS.api_secret) as server,
        ):
            listed = await server.room.list_participants(
                api.ListParticipantsRequest(room=minted.room)
            )
        (seen,) = [one for one in listed.participants if one.kind == 0]
        await room.disconnect()
    assert dict(seen.attributes) == {watching.ATTRIBUTE: "true"}
    assert seen.permission.can_update_metadata is False
