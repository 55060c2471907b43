"""The rules that every file keeps."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST_MODULE, LONGEST_FUNCTION = 400, 60

# In pieces, so that this file keeps the rule as well.
MACHINE_PATH = re.compile(r"(?<![\w.])/" + r"(?:work|root|home/\w+|Users/\w+)/")
REGISTRY = re.compile(
    r"https?://(?:[\w-]+\.)*(?:pypi|pythonhosted|npmjs|crates|debian|maven)\.\w+"
    r"|https?://proxy\.\w+\.org"
)


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the repository, those not yet committed included."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    yield from enumerate(text.splitlines(), 1)


def test_no_module_is_too_long() -> None:
    """A module that outgrows its limit is two modules."""
    lengths = {path: path.read_text(encoding="utf-8").count("\n") for path in tracked("*.py")}
    assert lengths
    assert [f"{path}: {n}" for path, n in lengths.items() if n > LONGEST_MODULE] == []


def test_no_function_is_too_long() -> None:
    """A function fits on a screen."""
    too_long = [
        f"{path}:{function.lineno} {function.name}"
        for path in tracked("*.py")
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    ]
    assert too_long == []


def test_python_runs_nothing_between_fork_and_exec() -> None:
    """Only the leash does, which has no threads: beside LiveKit's, Python 3.11 may hang there."""
    found = {
        path.relative_to(ROOT).as_posix()
        for path in tracked("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "preexec_fn"
    }
    assert found == {"local/parts/leash.py"}


@pytest.mark.parametrize("forbidden", [MACHINE_PATH, REGISTRY], ids=["paths", "registries"])
def test_nothing_names_one_machine(forbidden: re.Pattern[str]) -> None:
    """Neither a path of one machine nor a package registry stands anywhere but in the lock file."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.name != "uv.lock"
        for number, line in lines_of(path)
        if forbidden.search(line)
    ]
    assert found == []


def test_ci_runs_the_command_of_the_readme() -> None:
    """What a reader is told to run is what CI runs."""
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert last == "make test"
    assert "\nmake test\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_changelog_knows_the_version() -> None:
    """Every version has its section in the changelog."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{project['version']}]" in changelog


def test_every_variable_is_documented() -> None:
    """Each variable that our code reads stands in .env.example."""
    sources = [
        path.read_text(encoding="utf-8") for path in tracked("*.py") if "tests" not in path.parts
    ]
    quoted = re.compile(r"\"((?:THIRDRING|LIVEKIT|OPENAI)_[A-Z_]+)\"")
    names = {name for source in sources for name in quoted.findall(source)}
    # What `__all__` quotes are constants of ours, not variables.
    constants = {
        name
        for name in names
        if any(re.search(rf"^{name}\b.* = ", source, re.MULTILINE) for source in sources)
    }
    documented = (ROOT / ".env.example").read_text(encoding="utf-8")
    read = names - constants - INTERNAL
    assert read
    assert {name for name in read if f"\n{name}=" not in documented} == set()


# Set by our own parts for each other; a user never does.
INTERNAL = {
    "LIVEKIT_CONFIG",
    "LIVEKIT_KEYS",
    "LIVEKIT_WS_URL",
    "THIRDRING_CHAOS_STEPS",
    "THIRDRING_LOCAL_MODEL_KEY",
}
