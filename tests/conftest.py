"""What all tests share: under `CI=true` nothing is skipped in silence, and one stack of parts."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from dotenv import dotenv_values

from tests.peers import postgresql as database
from tests.peers.background import in_background
from tests.peers.phones import needs_livekit_sip
from thirdring.home import Home

if TYPE_CHECKING:
    from local.parts.stack import Stack
    from local.realtime.hearing import Moonshine, SileroModel
    from local.realtime.voice import Piper

# Marks whose tests may be skipped on a machine of CI: nothing there can provide what they need.
MAY_SKIP = frozenset({"livekit_sip", "small_disk"})

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("thirdring", deadline=None)
hypothesis.settings.load_profile("thirdring")

# LiveKit's native threads call back into Python once more when the SDK disposes of them on exit. It
# does that before this, for it registers later. Were Python gone by then, they would abort the run.
atexit.register(time.sleep, 0.5)


class _Skips:
    """Notes what was skipped and is not on the list, where the run comes together.

    Reports come from other processes when the tests are spread over several.
    """

    def __init__(self) -> None:
        self.unexpected: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # An expected failure is reported as skipped too, and has a flag of its own.
        expected = hasattr(report, "wasxfail") or MAY_SKIP & set(report.keywords)
        if report.skipped and not expected:
            self.unexpected.append(f"{report.nodeid}: {report.longrepr}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:  # a module as a whole
            self.unexpected.append(f"{report.nodeid}: {report.longrepr}")


_skips = pytest.StashKey[_Skips]()
_live_key = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer to run what can talk to OpenAI against it too."""
    group = parser.getgroup("thirdring")
    group.addoption(
        "--live",
        action="store_true",
        help="run tests/conformance against OpenAI too; needs OPENAI_API_KEY, and costs money",
    )
    group.addoption("--live-model", metavar="NAME", help="the model to run them against")


def pytest_configure(config: pytest.Config) -> None:
    """Begin without unexpected skips; with --live, have the key at once or not at all.

    Raises:
        pytest.UsageError: There is no key.
    """
    config.stash[_skips] = _Skips()
    config.pluginmanager.register(config.stash[_skips])
    if config.getoption("--live"):
        key = os.environ.get("OPENAI_API_KEY") or dotenv_values(".env.local").get("OPENAI_API_KEY")
        if not key:
            raise pytest.UsageError(
                "--live talks to OpenAI: put OPENAI_API_KEY into .env.local or the environment"
            )
        config.stash[_live_key] = key


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run on CI that left something out."""
    unexpected = session.config.stash[_skips].unexpected
    if os.environ.get("CI") == "true" and unexpected and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which skips have failed the run."""
    if os.environ.get("CI") == "true" and (unexpected := config.stash[_skips].unexpected):
        terminalreporter.section("CI=true: skipped, and not on the list in tests/conftest.py")
        for line in unexpected:
            terminalreporter.line(line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the parts of its stack have logged last."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        for stack in item.funcargs.values():
            for part, path in getattr(stack, "log_paths", {}).items():
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                # Waiting for a room to go is asking for it, fifty times a second.
                told = [line[:300] for line in lines if "RoomService.List" not in line]
                report.sections.append((f"last logged by {part}", "\n".join(told[-25:])))
    return report


@pytest.fixture(scope="session")
def live_key(pytestconfig: pytest.Config) -> str:
    """OpenAI's key; with `--live` there is one."""
    return pytestconfig.stash[_live_key]


@pytest.fixture(scope="session")
def models() -> Iterator[tuple[SileroModel, Moonshine, Piper]]:
    """Load the speech models once for all tests; their threads end with the session."""
    # Few tests need the models' packages.
    from local.realtime import hearing, voice  # noqa: PLC0415

    loaded = hearing.SileroModel(), hearing.Moonshine(), voice.Piper()
    yield loaded
    for one in loaded:
        one.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[database.Postgresql]:
    """Run a PostgreSQL, which tests may stop as long as they start it again."""
    with database.running() as server:
        yield server


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return all parts, worker and delivery included, running for the whole session."""
    yield from _living(tmp_path_factory, "gateway")


@pytest.fixture(scope="session")
def livekit_sip_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return the same with livekit-sip in the gateway's place."""
    yield from _living(tmp_path_factory, "livekit-sip")


@pytest.fixture(
    params=[
        pytest.param("stack", id="gateway"),
        pytest.param("livekit_sip_stack", id="livekit-sip", marks=needs_livekit_sip),
    ]
)
def each_side(request: pytest.FixtureRequest) -> Stack:
    """Return the stack of one SIP side, then of the other."""
    found: Stack = request.getfixturevalue(request.param)
    return found


def _living(tmp_path_factory: pytest.TempPathFactory, side: str) -> Iterator[Stack]:
    from local.parts import stack as parts  # noqa: PLC0415 - few tests need all of LiveKit

    home = Home(tmp_path_factory.mktemp("home"))
    configuration = Path(__file__).parents[1] / "thirdring.yaml"
    wanted = parts.Wanted(sip=parts.SipSide(side), worker=True, delivery=True)
    stack = parts.stack(home, configuration=configuration, wanted=wanted)
    # Every test has a loop of its own.
    with in_background(stack) as running:
        yield running
