"""Variables come from the environment, then `.env.local`, then a running `ring.py up`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from thirdring.environment import load_environment, offer, offered, shadowed
from thirdring.errors import PhoneError
from thirdring.home import Home


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave the environment as it was, and begin with nothing that concerns us."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("LIVEKIT_", "OPENAI_", "THIRDRING_")):
            del os.environ[name]
    monkeypatch.chdir(tmp_path)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return the home that the environment names when it names none."""
    return Home(tmp_path / ".thirdring")


def test_an_offer_is_read_while_it_lasts(home: Home) -> None:
    """Other commands get the variables as they were, and none once the offer has ended."""
    with offer(home, {"LIVEKIT_URL": "ws://127.0.0.1:1"}):
        assert offered(home) == {"LIVEKIT_URL": "ws://127.0.0.1:1"}
    assert offered(home) == {}


def test_every_value_arrives_as_it_was_offered(home: Home) -> None:
    """Apostrophes, backslashes and dollars, as a path may have them, change nothing."""
    values = {
        "THIRDRING_HOME": r"/home/o'brien\'s $HOME \n/${x}",
        "LIVEKIT_URL": "ws://127.0.0.1:1",
    }
    with offer(home, values):
        assert offered(home) == values


def test_only_we_may_read_an_offer(home: Home) -> None:
    """The file holds keys: nobody else may read it, and it does not outlive the offer."""
    with offer(home, {"LIVEKIT_API_SECRET": "s"}) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_what_a_killed_command_left_is_not_read(home: Home) -> None:
    """A file whose writer is gone says nothing: its ports and keys are dead."""
    home.root.mkdir()
    (home.root / "up.env").write_text("LIVEKIT_URL='ws://127.0.0.1:1'\n")
    assert offered(home) == {}


def test_only_one_may_offer(home: Home) -> None:
    """A second one is told, and does not disturb the first."""
    with offer(home, {"LIVEKIT_URL": "ws://127.0.0.1:1"}):
        with pytest.raises(PhoneError, match=r"another `ring\.py up` runs"), offer(home, {}):
            raise AssertionError
        assert offered(home) == {"LIVEKIT_URL": "ws://127.0.0.1:1"}


def test_the_environment_wins_over_the_file_and_the_file_over_an_offer(
    tmp_path: Path, home: Home
) -> None:
    """The nearer to the user, the stronger."""
    (tmp_path / ".env.local").write_text("ONE_FOR_TEST=file\nTWO_FOR_TEST=file\n")
    os.environ["ONE_FOR_TEST"] = "environment"
    names = ("ONE_FOR_TEST", "TWO_FOR_TEST", "THREE_FOR_TEST")
    with offer(home, dict.fromkeys(names, "offer")):
        load_environment()
    assert [os.environ[name] for name in names] == ["environment", "file", "offer"]


def test_access_to_a_service_is_never_mixed(home: Home) -> None:
    """With a key of one's own, the address of the local model is not taken either."""
    os.environ["OPENAI_API_KEY"] = "mine"
    local = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1", "OPENAI_API_KEY": "local", "X_TEST": "x"}
    assert shadowed(local, os.environ) == {"OPENAI_BASE_URL", "OPENAI_API_KEY"}
    with offer(home, local):
        load_environment()
    assert "OPENAI_BASE_URL" not in os.environ
    assert os.environ["X_TEST"] == "x"


def test_an_empty_value_is_none(tmp_path: Path) -> None:
    """A copy of .env.example that nobody has filled in changes nothing."""
    example = Path(__file__).parents[2] / ".env.example"
    (tmp_path / ".env.local").write_text(example.read_text())
    before = dict(os.environ)
    load_environment()
    assert dict(os.environ) == before


def test_an_empty_variable_is_none() -> None:
    """What a container was given from a copy of `.env.example` reaches no library as an address."""
    os.environ.update(OPENAI_BASE_URL="", OPENAI_API_KEY="sk-1", UNRELATED="")
    load_environment()
    assert "OPENAI_BASE_URL" not in os.environ
    assert (os.environ["OPENAI_API_KEY"], os.environ["UNRELATED"]) == ("sk-1", "")
