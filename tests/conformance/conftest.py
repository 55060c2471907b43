"""The conformance suite runs against the local server, and with `--live` against OpenAI too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from local.realtime.brain.dialogue import ScriptBrain
from local.realtime.brain.script import load_all
from local.realtime.server import RealtimeServer, Settings, serve
from local.realtime.session import Engine
from local.realtime.turns import VadEars
from tests.conformance.talk import Service, Talk
from thirdring.settings import DEFAULT_MODEL

if TYPE_CHECKING:
    from local.realtime.hearing import Moonshine, SileroModel
    from local.realtime.voice import Piper

Models: TypeAlias = "tuple[SileroModel, Moonshine, Piper]"

KEY = "local-key"
_WORKFLOWS = Path(__file__).parents[2] / "workflows"
_SILENCE = bytes(48000)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make the service's own variant of a test only when it is asked for."""
    if "where" in metafunc.fixturenames:
        live = metafunc.config.getoption("live")
        variants = [pytest.param("live", marks=pytest.mark.live)] if live else []
        metafunc.parametrize("where", ["local", *variants])


@pytest.fixture
def where() -> str:
    """Where a test talks; always given by `pytest_generate_tests`."""
    raise AssertionError


def engine_of(models: Models) -> Engine:
    """Return what hears and speaks with the real models and decides by the real scripts."""
    silero, moonshine, voice = models
    brain = ScriptBrain(load_all(_WORKFLOWS), today=lambda: date(2026, 11, 21))
    return Engine(lambda: VadEars(silero.stream()), moonshine, brain, voice)


@pytest.fixture
async def server(models: Models) -> AsyncIterator[RealtimeServer]:
    """The local server, which asks for a key as OpenAI does."""
    async with serve(Settings(port=0, api_key=KEY), engine_of(models)) as running:
        yield running


@pytest.fixture
def service(where: str, request: pytest.FixtureRequest) -> Service:
    """The peer of the published client."""
    if where == "live":
        model = request.config.getoption("live_model") or DEFAULT_MODEL
        return Service(model, request.getfixturevalue("live_key"))
    running: RealtimeServer = request.getfixturevalue("server")
    return Service(DEFAULT_MODEL, KEY, running.url)


@pytest.fixture
async def question(models: Models) -> bytes:
    """A caller who asks for the hours, and then waits for a second."""
    return await models[2].say("Hello, when are you open on Monday?") + _SILENCE


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    """A session that loads no speech models."""
    settings = Settings(port=0, reflex=True, greeting_seconds=0.02)
    async with (
        serve(settings) as server,
        Service(DEFAULT_MODEL, "none", server.url).talk() as talk,
    ):
        yield talk
