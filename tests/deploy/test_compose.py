"""The compose file is valid, pinned and complete, and what it says of our programs is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from check_jsonschema import main as check_jsonschema  # type: ignore[import-untyped]  # it has no types
from click.testing import CliRunner

import ring
from local.parts.livekit_server import VERSION
from sip import server_events
from thirdring import __version__, workflow

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
LASTING = sorted(SERVICES.keys() - {"provision"})


def loaded(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return document


def seconds(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh])", text).groups()  # type: ignore[union-attr]  # else it is wrong
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def test_it_is_a_compose_file(tmp_path: Path) -> None:
    """The published schema accepts it, and refuses it with a key that compose does not know."""
    command = ["--builtin-schema", "vendor.compose-spec"]
    done = CliRunner().invoke(check_jsonschema, [*command, str(FILE)])
    assert done.exit_code == 0, done.output
    broken = tmp_path / "compose.yaml"
    broken.write_text(FILE.read_text().replace("restart: always", "restarts: always"))
    assert CliRunner().invoke(check_jsonschema, [*command, str(broken)]).exit_code == 1


def test_every_image_is_pinned() -> None:
    """Two machines that start it a month apart run the same programs."""
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert {n: i for n, i in images.items() if not re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", i)} == {}
    assert images["livekit-server"] == f"livekit/livekit-server:v{VERSION}"
    assert images["worker"] == images["courier"] == f"thirdring:{__version__}"


@pytest.mark.parametrize("name", LASTING)
def test_every_service_comes_back_and_says_how_it_is(name: str) -> None:
    """A service that fails is started again, whatever its exit code, and has a health check."""
    service = SERVICES[name]
    assert service["restart"] == "always"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_service_may_more_than_it_needs(name: str) -> None:
    """None is root, keeps a capability or writes to its image."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # Ours say so in the Dockerfile.
    assert service["image"].startswith("thirdring:") or not service["user"].startswith("0")


def test_every_file_is_there() -> None:
    """Each path that it mounts or reads exists; .env.local is what a user makes of .env.example."""
    paths = {
        str(Path(b["context"]) / b["dockerfile"])
        for s in SERVICES.values()
        if (b := s.get("build"))
    }
    for service in SERVICES.values():
        paths |= set(service.get("env_file", []))
        paths |= {m.split(":")[0] for m in service.get("volumes", []) if m.startswith(".")}
    assert "../.env.local" in paths
    missing = {p for p in paths - {"../.env.local"} if not (FILE.parent / p).resolve().is_file()}
    assert missing == set()
    named = {m.split(":")[0] for s in SERVICES.values() for m in s.get("volumes", [])}
    assert {name for name in named if not name.startswith(".")} == COMPOSE["volumes"].keys()


def test_every_variable_is_known_and_asked_for() -> None:
    """A variable that is not set stops the start with its name, and .env.example explains it."""
    text = FILE.read_text(encoding="utf-8")
    used = re.findall(r"(?<!\$)\$\{(\w+)(:\?[^}]+)?\}", text)
    assert {name for name, _ in used} == {"LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"}
    assert all(message for _, message in used)
    documented = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert all(f"\n{name}=" in documented for name, _ in used)


def test_no_call_is_cut_short_by_a_restart() -> None:
    """Worker and livekit-sip may outlast the longest call of any workflow."""
    longest = max(w.time_limit_minutes for w in workflow.discover().values()) * 60
    worker = SERVICES["worker"]
    drain = int(worker["command"][worker["command"].index("--drain-timeout") + 1])
    assert longest < drain < seconds(worker["stop_grace_period"])
    assert longest < seconds(SERVICES["livekit-sip"]["stop_grace_period"])


def test_the_door_opens_last() -> None:
    """No call arrives before trunks, rules and an agent are there; Redis and server come first."""
    assert SERVICES["livekit-sip"]["depends_on"] == {
        "redis": {"condition": "service_healthy"},
        "livekit-server": {"condition": "service_healthy"},
        "provision": {"condition": "service_completed_successfully"},
        "worker": {"condition": "service_healthy"},
    }


def test_the_courier_outlasts_the_worker() -> None:
    """Compose stops in reverse order: the records of the calls that a worker ends still go out."""
    assert SERVICES["worker"]["depends_on"]["courier"] == {"condition": "service_started"}


def test_the_services_find_each_other() -> None:
    """Addresses in compose file, livekit.yaml and sip.yaml agree."""
    server, sip = loaded("livekit.yaml"), loaded("sip/trunks/sip.yaml")
    command = SERVICES["redis"]["command"]
    port = command[command.index("--port") + 1]
    assert server["redis"] == sip["redis"] == {"address": f"127.0.0.1:{port}"}
    url = f"ws://127.0.0.1:{server['port']}"
    assert SERVICES["livekit-sip"]["environment"]["LIVEKIT_WS_URL"] == url
    assert SERVICES["worker"]["environment"]["LIVEKIT_URL"] == url
    assert f"//127.0.0.1:{server['port']}/" in check("livekit-server")[-1]
    assert f"/127.0.0.1/{sip['health_port']} " in check("livekit-sip")[-1]
    assert f"{SERVICES['worker']['environment']['THIRDRING_WORKER_PORT']}," in check("worker")[-1]


def test_the_server_tells_the_courier_who_calls() -> None:
    """By a port of loopback, signed with the key that the courier knows from .env.local."""
    courier, server = SERVICES["courier"]["environment"], SERVICES["livekit-server"]["environment"]
    host, port = courier["THIRDRING_COURIER_HOST"], courier[server_events.PORT_VARIABLE]
    assert host == "127.0.0.1"
    url = f"http://{host}:{port}{server_events.PATH}"
    assert loaded("livekit.yaml")["webhook"] == {"urls": [url]}
    assert server["LIVEKIT_KEYS"].startswith(f"{server['LIVEKIT_WEBHOOK_API_KEY']}: ")
    # The others share its variables, and must not want its port.
    assert server_events.PORT_VARIABLE not in SERVICES["worker"]["environment"]


def check(name: str) -> list[str]:
    """Return the command of a health check, as the container runs it."""
    kind, *command = (part.replace("$$", "$") for part in SERVICES[name]["healthcheck"]["test"])
    return ["sh", "-c", *command] if kind == "CMD-SHELL" else command


def test_every_command_exists() -> None:
    """What our image is told to run are commands of ring.py, or the worker."""
    for name in ("provision", "courier"):
        program, *verbs = SERVICES[name]["command"]
        assert program == "ring.py"
        command: Any = typer.main.get_command(ring.app)
        for verb in verbs:
            command = command.commands[verb]
    assert SERVICES["worker"]["command"][:2] == ["agent.py", "start"]


def test_the_courier_is_well_while_it_touches_its_lock(tmp_path: Path) -> None:
    """Its health check accepts a lock of this minute, and neither an older one nor none."""
    home = SERVICES["courier"]["environment"]["THIRDRING_HOME"]
    command = [part.replace(home, str(tmp_path)) for part in check("courier")]
    lock = tmp_path / "courier.lock"

    def exit_code() -> int:
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode

    assert exit_code() == 1
    lock.touch()
    assert exit_code() == 0
    os.utime(lock, (1, 1))
    assert exit_code() == 1


@pytest.mark.parametrize(
    ("name", "well"),
    [("worker", {200}), ("livekit-sip", {200, 429})],
)
def test_a_health_check_reads_the_status(name: str, well: set[int]) -> None:
    """Who serves HTTP is well by the status alone (429: livekit-sip is busy), never when silent."""
    port = re.search(r"\b808\d\b", check(name)[-1])
    assert port is not None
    with answering() as (server, give):
        here = str(server.server_address[1])
        command = [part.replace(port[0], here) for part in check(name)]
        command[0] = sys.executable if command[0] == "python" else command[0]
        for status in (200, 429, 503):
            give(status)
            code = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
            assert (code == 0) is (status in well), status
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode != 0


@contextmanager
def answering() -> Iterator[tuple[ThreadingHTTPServer, Callable[[int], None]]]:
    """Answer every GET with the status that was given last."""

    class Answer(BaseHTTPRequestHandler):
        status = 200

        def do_GET(self) -> None:
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    def give(status: int) -> None:
        Answer.status = status

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server, give
        finally:
            server.shutdown()
            thread.join()
