"""`--live`: what it needs, what it adds, and that its variants run."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conformance.conftest import KEY

if TYPE_CHECKING:
    from local.realtime.server import RealtimeServer

_ROOT = Path(__file__).parents[2]
_TEXT = "tests/conformance/test_conformance_text.py"


async def pytest_with(
    *options: str, folder: Path = _ROOT, environment: dict[str, str]
) -> tuple[int | None, str]:
    """Run pytest as a developer would; return its exit code and all that it printed."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "PYTEST_"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options),
        cwd=folder,
        env={**kept, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(100):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, printed.decode()


async def test_live_without_a_key_is_one_clear_error(tmp_path: Path) -> None:
    """An empty key is none; nothing is collected, and the message says where a key goes."""
    any_test = str(_ROOT / "tests" / "test_structure.py")
    # Not in our own folder, whose `.env.local` may have a key.
    code, printed = await pytest_with(
        "--live", any_test, folder=tmp_path, environment={"OPENAI_API_KEY": ""}
    )
    assert code == 4
    assert printed.strip().splitlines() == [
        "ERROR: --live talks to OpenAI: put OPENAI_API_KEY into .env.local or the environment"
    ]


def test_without_live_nothing_of_it_is_collected(request: pytest.FixtureRequest) -> None:
    """There is not even something to skip."""
    live = [item.nodeid for item in request.session.items if item.get_closest_marker("live")]
    assert request.config.getoption("live") or live == []


async def test_the_live_variants_run(server: RealtimeServer) -> None:
    """They go where the client goes by itself, here by its own variable to the local server."""
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
    options = ("--live", "--live-model", "some-model", "-k", "live and (text_turn or synchronous)")
    code, printed = await pytest_with(_TEXT, *options, environment=environment)
    assert code == 0, printed
    assert "2 passed" in printed
