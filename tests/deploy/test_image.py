"""What the image holds is enough: the product runs from these files and packages alone."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [
    (word, rest)
    for line in re.sub(r"\\\n\s*", "", DOCKERFILE).splitlines()
    if line and not line.startswith("#")
    for word, _, rest in [line.partition(" ")]
]

# Runs in a copy of what the image holds; the packages that it lacks cannot be imported.
PROGRAM = """
import json, pkgutil, sys
from importlib.abc import MetaPathFinder

absent = frozenset(json.loads(sys.argv[1]))

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, "")
import agent, ring
for package in ("sip", "thirdring", "tools", "workflows"):
    for module in pkgutil.walk_packages([package], f"{package}."):
        __import__(module.name)
for verb in ("demo", "check"):
    try:
        ring.app([verb])
    except SystemExit as end:
        print(verb, "ends with", end.code)
"""


def copied() -> list[str]:
    """Return what the last stage takes from the repository."""
    last = INSTRUCTIONS[max(n for n, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM") :]
    sources = [shlex.split(rest)[:-1] for word, rest in last if word == "COPY"]
    return [name for names in sources for name in names if not names[0].startswith("--from")]


def test_its_base_is_pinned_and_its_user_is_nobody() -> None:
    """Both stages have the same Python to the last figure, and no process is root."""
    bases = {rest.split(" ")[0] for word, rest in INSTRUCTIONS if word == "FROM"}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm", bases.pop())
    assert [rest for word, rest in INSTRUCTIONS if word == "USER"] == ["10001:10001"]
    assert ("STOPSIGNAL", "SIGTERM") in INSTRUCTIONS


def test_it_is_built_by_the_uv_of_the_makefile() -> None:
    """One version of uv reads the lock file everywhere."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    version = re.search(r"^UV_VERSION := (\S+)$", makefile, re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]}\n" in DOCKERFILE


def test_its_health_check_is_that_of_the_worker() -> None:
    """Compose and plain docker ask the same question."""
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
    (asked,) = (rest for word, rest in INSTRUCTIONS if word == "HEALTHCHECK")
    command = json.loads(asked.partition(" CMD ")[2])
    assert command == compose["services"]["worker"]["healthcheck"]["test"][1:]


def test_the_build_is_given_what_it_copies_and_no_more() -> None:
    """.dockerignore lets through each source of a COPY, and nothing that no COPY names."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    named = {n for w, r in INSTRUCTIONS if w == "COPY" if "--from" not in r for n in r.split()[:-1]}
    assert {rule[1:] for rule in rules if rule.startswith("!")} == named
    assert all((ROOT / name).exists() for name in named)


def test_the_product_runs_from_the_image_alone(tmp_path: Path) -> None:
    """With the image's files and locked packages every module loads, and commands run."""
    for name in copied():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    variables = {
        **{f"LIVEKIT_{name}": "ws://127.0.0.1:1" for name in ("URL", "API_KEY", "API_SECRET")},
        "OPENAI_API_KEY": "none",
        "THIRDRING_WEBHOOK_URL": "https://example.org/hook",
        "THIRDRING_WEBHOOK_SECRET": "whsec_" + "YWJj" * 8,
        "THIRDRING_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(sorted(left_out()))],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # What needs more than the image says so, in one line.
    message = "demo needs the whole repository, not its image\n"
    assert (done.returncode, done.stderr) == (0, message)
    assert re.findall(r"(\w+) ends with (\d)", done.stdout) == [("demo", "1"), ("check", "0")]


def left_out() -> set[str]:
    """Return the modules that are installed here and not in the image."""
    (sync,) = (rest for word, rest in INSTRUCTIONS if word == "RUN" and "uv sync" in rest)
    export = ["export", "--offline", "--no-hashes", "--no-header", "--no-annotate", "--quiet"]
    wanted = shlex.split(sync)[2:]
    assert wanted[:2] == ["--locked", "--no-dev"]
    listed = subprocess.run(
        [sys.executable, "-m", "uv", *export, *wanted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    there = {plain(line.split("==")[0]) for line in listed.stdout.splitlines() if "==" in line}
    assert {"livekit-agents", "baresip-python"} <= there
    modules: dict[bool, set[str]] = {True: set(), False: set()}
    for distribution in metadata.distributions():
        for file in distribution.files or ():
            if file.suffix in {".py", ".so"}:
                parts = [*file.parts[:-1], file.name.split(".")[0]]
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                modules[plain(distribution.name) in there].add(name)
    assert "playwright" in modules[False]
    return modules[False] - modules[True]


def plain(name: str) -> str:
    """Return a distribution's name as PyPI compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
