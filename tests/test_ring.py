"""The commands: what a user did wrong is one clear message and an exit code, never a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from thirdring.environment import offer
from thirdring.home import Home

ROOT = Path(__file__).parents[1]
PATIENCE = 60
WEBHOOK = {
    "THIRDRING_WEBHOOK_URL": "http://127.0.0.1:9/",
    "THIRDRING_WEBHOOK_SECRET": "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}

# Imports ring.py where a module cannot be imported because that one or another one is missing.
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {sys.argv[2]!r}", name=sys.argv[2])

sys.meta_path.insert(0, Absent())
sys.path.insert(0, "")
import ring
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    ours = ("LIVEKIT_", "OPENAI_", "THIRDRING_")
    rest = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**rest, "THIRDRING_HOME": str(home), **more}


def ring(home: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "ring.py", *arguments],
        cwd=ROOT,
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_check_accepts_our_own_configuration(tmp_path: Path) -> None:
    """The file that comes with the project is without fault."""
    done = ring(tmp_path, "check", **WEBHOOK)
    assert (done.returncode, done.stderr) == (0, "")
    said = re.fullmatch(
        r"thirdring.yaml: \d+ businesses, \d+ lines, no problems \(\d+\.\d\d s\)\n", done.stdout
    )
    assert said, done.stdout


def test_check_says_to_programs_how_many_it_has_read(tmp_path: Path) -> None:
    """And how long that took."""
    done = json.loads(ring(tmp_path, "check", "--json", **WEBHOOK).stdout)
    assert done.keys() == {"problems", "warnings", "businesses", "lines", "seconds"}
    assert (done["problems"], done["warnings"]) == ([], [])
    assert done["businesses"] == done["lines"] >= 6
    assert done["seconds"] > 0


def test_check_reads_a_folder(tmp_path: Path) -> None:
    """All of its files at once, each problem with the file that it is in."""
    text = (ROOT / "thirdring.yaml").read_text()
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(text)
    done = ring(tmp_path, "check", "--config", str(tmp_path), **WEBHOOK)
    assert done.returncode == 2
    assert f"{tmp_path}/two.yaml:" in done.stderr
    assert f"is there already, at {tmp_path}/one.yaml:" in done.stderr


def test_check_gives_problems_as_json(tmp_path: Path) -> None:
    """Programs read the same problems, with the same exit code."""
    done = ring(tmp_path, "check", "--json")
    problems = json.loads(done.stdout)["problems"]
    assert (done.returncode, done.stderr) == (2, "")
    assert {problem["what"] for problem in problems} == {
        "the variable THIRDRING_WEBHOOK_SECRET is not set",
        "the variable THIRDRING_WEBHOOK_URL is not set",
    }
    assert problems[0]["file"] == "thirdring.yaml"


def test_check_warns_of_a_model_that_retires(tmp_path: Path) -> None:
    """What works but must change is said beside the result, and is no mistake."""
    text = (ROOT / "thirdring.yaml").read_text().replace("gpt-realtime-2.1", "gpt-realtime")
    (tmp_path / "old.yaml").write_text(text)
    done = ring(tmp_path, "check", "--config", str(tmp_path / "old.yaml"), **WEBHOOK)
    assert done.returncode == 0
    assert "warning: riverside_clinic, line +12025550142: the model gpt-realtime " in done.stderr


def test_the_browser_takes_no_option_of_the_keyboard(tmp_path: Path) -> None:
    """What the page could not do is refused at once, not left out in silence."""
    done = ring(tmp_path, "talk", "--browser", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "are for the keyboard" in done.stderr


def test_the_key_of_the_local_model_is_none_for_openai(tmp_path: Path) -> None:
    """While `up` runs, `demo --openai` still asks for a key instead of playing the local model."""
    with offer(
        Home(tmp_path), {"OPENAI_API_KEY": "local", "OPENAI_BASE_URL": "http://127.0.0.1:9"}
    ):
        done = ring(tmp_path, "demo", "--openai")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("--openai needs a key")


def test_a_short_secret_is_no_ones_warning(tmp_path: Path) -> None:
    """The secret of `livekit-server --dev` signs a token, and nothing else is printed."""
    done = ring(
        tmp_path,
        "token",
        **WEBHOOK,
        LIVEKIT_URL="ws://127.0.0.1:7880",
        LIVEKIT_API_KEY="devkey",
        LIVEKIT_API_SECRET="secret",
    )
    assert (done.returncode, "Warning" in done.stderr) == (0, False), done.stderr
    assert "LIVEKIT_TOKEN=" in done.stdout


def test_the_gateway_without_a_server_says_which_variables_it_needs(tmp_path: Path) -> None:
    """Nothing starts without access to livekit-server; each missing variable has its line."""
    done = ring(tmp_path, "gateway", **WEBHOOK)
    missing = [line.split(" ")[1] for line in done.stderr.splitlines()]
    assert done.returncode == 2
    assert missing == ["LIVEKIT_URL:", "LIVEKIT_API_KEY:", "LIVEKIT_API_SECRET:"]


def test_the_gateway_refuses_a_port_that_cannot_be(tmp_path: Path) -> None:
    """A number that no port has is a mistake of the command, which says the limit."""
    done = ring(tmp_path, "gateway", "--port", "65536", **WEBHOOK)
    assert (done.returncode, done.stdout) == (2, "")
    assert "65535" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", [("ring.py", "up"), ("ring.py", "talk"), ("agent.py", "start")])
def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path, program: tuple[str, ...]) -> None:
    """Whatever needs a place for its journals names the variable, the folder and the reason."""
    home = tmp_path / "file"
    home.touch()
    done = subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env=environment(home, **WEBHOOK),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("environment THIRDRING_HOME: cannot be used (File exists), got ")


@pytest.mark.parametrize(
    "program", [("ring.py", "check"), ("ring.py", "courier"), ("agent.py", "start")]
)
def test_a_store_that_cannot_be_is_one_line(tmp_path: Path, program: tuple[str, ...]) -> None:
    """Whatever keeps or reads records names the variable, and shows no password."""
    store = "postgresql://ring:hunter2/x@127.0.0.1/ring"
    done = subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env=environment(tmp_path, THIRDRING_STORE=store, **WEBHOOK),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("environment THIRDRING_STORE: cannot be understood; expected ")
    assert "hunter2" not in line


@pytest.mark.server
def test_up_on_an_occupied_port_leaves_nothing_running(tmp_path: Path) -> None:
    """One line names port and part; the exit code is not 0 and no part was started."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", 7880))
            holder.listen()
        except OSError:
            pass  # someone else occupies it, which is as good
        done = ring(tmp_path, "up")
    assert done.returncode == 1
    assert "livekit-server cannot listen on 127.0.0.1:7880/tcp" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "logs").exists()


@pytest.mark.server
@pytest.mark.parametrize(("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_a_command_ends_by_signal(tmp_path: Path, ending: signal.Signals, code: int) -> None:
    """Ctrl-C and SIGTERM end a command in order: no traceback, and the usual exit codes."""
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "ring.py", "courier"),
        cwd=ROOT,
        env=environment(tmp_path, **WEBHOOK),
        stderr=asyncio.subprocess.PIPE,
    )
    assert command.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while b"courier ready" not in await command.stderr.readline():
            assert command.returncode is None
        command.send_signal(ending)
        rest = await command.stderr.read()
        assert (await command.wait(), b"Traceback" in rest) == (code, False)


@pytest.mark.parametrize(
    ("imported", "missing", "code", "said"),
    [
        ("local", "local", 0, ""),
        ("local.studio", "local.studio", 1, "No module named 'local.studio'"),
        ("local.studio.commands", "pillow", 1, "No module named 'pillow'"),
    ],
)
def test_only_the_absence_of_the_whole_package_is_passed_over(
    imported: str, missing: str, code: int, said: str
) -> None:
    """The image has no `local`; whatever else is missing is named, and no verb is just gone."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, imported, missing],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
