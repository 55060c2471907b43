"""Files that are no YAML, no text, or made to harm: one problem, soon, and nothing else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from time import perf_counter

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thirdring import config, yaml_document
from thirdring.errors import ConfigError, Problem
from thirdring.workflow import Workflow

ROOT = Path(__file__).parents[2]
CANARY = "canary-3b1f"
WORKFLOWS = {
    name: Workflow(name=name, greeting="Hello.")
    for name in (
        *("assistant", "concierge", "home_service", "insurance", "patient_questions", "prior_auth"),
    )
}
ENVIRON = {
    "THIRDRING_WEBHOOK_URL": "http://127.0.0.1:9/",
    "THIRDRING_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "CANARY": CANARY,
}


def problems(folder: Path, source: str | bytes) -> tuple[Problem, ...]:
    path = folder / "thirdring.yaml"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(ConfigError) as caught:
        config.load(path, workflows=WORKFLOWS, environ=ENVIRON)
    return caught.value.problems


NOT_YAML: dict[str, tuple[str | bytes, int, int, str]] = {
    "empty": ("", 1, 1, "is empty"),
    "comments only": ("# nothing\n", 1, 1, "is empty"),
    "tab": ("version: 1\n\tbusinesses: {}\n", 2, 1, "is not YAML"),
    "unclosed": ("version: [1\nbusinesses: {}\n", 2, 11, "is not YAML"),
    "no end of the last line": ("a: 1\nb", 2, 2, "is not YAML"),
    "undefined alias": ("version: *one\n", 1, 10, "is not YAML"),
    "unknown directive": ("%YAML 3.0\n---\na: 1\n", 1, 1, "is not YAML"),
    "two documents": ("version: 1\n---\nversion: 1\n", 2, 1, "a second document"),
    "not UTF-8": (b"version: 1\nname: \xe9\n", 2, 7, "is not UTF-8"),
    "UTF-16": ("version: 1\n".encode("utf-16"), 1, 1, "is not UTF-8"),
    "control character": ("version: 1\nname: a\x07b\n", 2, 8, "has the control character U+0007"),
    "deep flow": ("version: 1\na: " + "[" * 100_000, 2, 35, "is nested too deeply"),
    "deep block": ("- " * 100_000 + "a", 1, 65, "is nested too deeply"),
    "deep keys": ("? " * 100_000 + "a", 1, 65, "is nested too deeply"),
    "recursive alias": ("&a [*a]", 1, 1, "is nested too deeply"),
    "recursive bomb": ("&a [*a, *a, *a, *a]", 1, 1, "is nested too deeply"),
    "many values": ("[" + "a," * 400_001 + "]", 1, 800_000, "has too many values"),
    "a list": ("- version: 1\n", 1, 1, "is not a mapping"),
    "a word": ("version", 1, 1, "is not a mapping"),
}


@pytest.mark.parametrize("name", NOT_YAML)
def test_what_is_no_configuration_is_one_problem(name: str, tmp_path: Path) -> None:
    """The problem names the place at which the file stops to make sense."""
    source, line, column, what = NOT_YAML[name]
    (problem,) = problems(tmp_path, source)
    assert (problem.line, problem.column) == (line, column)
    assert problem.what.startswith(what)


def test_a_tab_is_named_as_such(tmp_path: Path) -> None:
    """Whoever indents with a tab learns that it is the tab."""
    (problem,) = problems(tmp_path, "version: 1\n\tbusinesses: {}\n")
    assert "no tabs" in problem.expected


def test_an_alias_bomb_is_refused_fast_and_in_little_memory(tmp_path: Path) -> None:
    """Ten levels of ten aliases each would be 10 billion values; it ends at 400,000.

    The ceilings leave room for a slow machine: all of them would take days and terabytes.
    """
    bomb = 'a0: &a0 ["lol"]\n' + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 11)
    )
    tracemalloc.start()
    began = perf_counter()
    (problem,) = problems(tmp_path, bomb)
    seconds, (_, peak) = perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert problem.what == "has too many values"
    assert seconds < 60
    assert peak < 200_000_000


def test_a_few_aliases_are_fine(tmp_path: Path) -> None:
    """An anchor saves writing the same hours five times."""
    text = (ROOT / "thirdring.yaml").read_text()
    text = text.replace('monday: ["09:00-17:00"]', 'monday: &day ["09:00-17:00"]')
    text = text.replace('tuesday: ["09:00-17:00"]', "tuesday: *day")
    path = tmp_path / "thirdring.yaml"
    path.write_text(text)
    hours = config.load(path, workflows=WORKFLOWS, environ=ENVIRON).businesses[0].hours
    assert len(hours) == 5


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    """The limit of the size holds before anything is parsed."""
    (problem,) = problems(tmp_path, b"#" * (yaml_document.MAX_BYTES + 1))
    assert problem.what == "is too large"


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    """It is told like any other mistake."""
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path / "missing.yaml", workflows={}, environ={})


def test_it_works_without_libyaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML built without its C part reads the same, with the same places."""
    monkeypatch.setattr(yaml_document, "_Loader", yaml.SafeLoader)
    (problem,) = problems(tmp_path, "version: 1\nbusinesses: {}\n")
    assert (problem.line, problem.path) == (2, "businesses")


HIDDEN = {
    "a secret": "secret: hunter2",
    "an API key": "api_key: hunter2",
    "a password in a mapping": "password: {is: hunter2}",
    "a signing secret in the wrong place": "name: whsec_hunter2",
    "a model key in the wrong place": "name: sk-hunter2",
    "a model key for a number": "limits: {reply_tokens: sk-hunter2}",
    "a password below a number": "limits: {reply_tokens: {password: {is: [hunter2]}}}",
    "a variable for a number": "limits: {reply_tokens: 'x${CANARY}'}",
    "a variable": "name: {x: '${CANARY}'}",
    "the user of a URL": "url: ftp://anna:hunter2@example.com/",
}


@pytest.mark.parametrize("name", HIDDEN)
def test_no_error_shows_a_secret(name: str, tmp_path: Path) -> None:
    """Errors hold neither secrets of the file nor the values of variables."""
    found = problems(tmp_path, f"version: 1\nbusinesses:\n  clinic:\n    {HIDDEN[name]}\n")
    text = "\n".join(map(str, found))
    assert "hunter2" not in text
    assert CANARY not in text


def test_a_value_of_a_variable_is_never_shown(tmp_path: Path) -> None:
    """Wherever a variable is put, an error shows its name only."""
    text = (ROOT / "thirdring.yaml").read_text()
    for value in ("Riverside Clinic", "America/New_York", "patient_questions", "marin"):
        text = text.replace(f": {value}", ": ${CANARY}")
    text = text.replace("09:00-17:00", "${CANARY}").replace("+12025550142", "${CANARY}")
    text = text.replace("127.0.0.1:5060", "${CANARY}").replace("20000-20999", "${CANARY}")
    text = text.replace("127.0.0.0/8", "'${CANARY}'").replace("slot_minutes: 30", "$: ${CANARY}")
    found = problems(tmp_path, text)
    assert len(found) > 10
    assert CANARY not in "\n".join(map(str, found))


def test_what_may_have_been_meant_shows_no_value_of_a_variable(tmp_path: Path) -> None:
    """Numbers, tools and arguments that come from one are named by it, or not at all."""
    text = """\
version: 1
businesses:
  clinic:
    name: Clinic
    time_zone: UTC
    tools: {stock: {description: d, url: "${URL}"}}
    mcp_servers: {docs: {url: "https://docs.example/", allowed_tools: ["${CANARY}", sk-hunter2]}}
    lines:
      - {number: "${NUMBER}", workflow: desk, tools: [find]}
default_line: "+12025550143"
trunks: {a: {lines: ["+12025550143"]}}
"""
    path = tmp_path / "thirdring.yaml"
    path.write_text(text)
    environ = {"CANARY": CANARY, "NUMBER": "+12025550142", "URL": f"https://a.example/{{{CANARY}}}"}
    desk = Workflow(name="desk", greeting="Hello.")
    with pytest.raises(ConfigError) as caught:
        config.load(path, workflows={"desk": desk}, environ=environ)
    told = {problem.path: problem for problem in caught.value.problems}
    tools = told["businesses.clinic.lines[0].tools[0]"]
    assert tools.expected == "one of ${CANARY}, sk-***, stock"
    assert told["default_line"].expected == "one of ${NUMBER}"
    assert told["trunks.a.lines[0]"].expected == "one of ${NUMBER}"
    assert told["businesses.clinic.tools.stock.url"].what.startswith("uses an argument")
    shown = "\n".join(map(str, told.values()))
    assert not [value for value in (CANARY, "hunter2", "+12025550142") if value in shown]


@pytest.mark.parametrize("part", ["", "businesses:\n  clinic:\n    lines:\n      - "])
def test_a_key_called_like_one_of_pydantic_is_a_problem(part: str, tmp_path: Path) -> None:
    """It names mistakes in a key by `[key]` itself."""
    found = problems(tmp_path, f"version: 1\n{part}'[key]': 2\n")
    (unknown,) = [problem for problem in found if problem.what == "unknown key"]
    assert unknown.got == "[key]"
    assert unknown.path.endswith("['[key]']")


def test_what_is_shown_is_short_and_harmless(tmp_path: Path) -> None:
    """Escape sequences for terminals are escaped, and long values are cut at 80 characters."""
    name = "\\e[31m\\u202e" + "x" * 300
    (problem,) = [
        problem
        for problem in problems(tmp_path, f'version: "{name}"\n')
        if problem.path == "version"
    ]
    assert problem.got
    assert problem.got.startswith("\\x1b[31m\\u202exxx")
    assert len(problem.got) == 80


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "replace"))))
def test_arbitrary_bytes_are_a_config_error(tmp_path: Path, source: bytes) -> None:
    """Nothing but ConfigError leaves the loader, whatever the file holds."""
    assert problems(tmp_path, source)


def mutations(text: str) -> st.SearchStrategy[str]:
    """Return `text` with a few pieces replaced by characters that mean something to YAML."""
    piece = st.tuples(
        st.integers(0, len(text)),
        st.integers(0, 12),
        st.text(st.sampled_from("\n \t-:?[]{}#&*!|>'\"%@`$+,.0no~=<é\U0001f600"), max_size=6),
    )

    def apply(pieces: list[tuple[int, int, str]]) -> str:
        result = text
        for at, length, new in pieces:
            result = result[:at] + new + result[at + length :]
        return result

    return st.lists(piece, min_size=1, max_size=4).map(apply)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(mutations((ROOT / "thirdring.yaml").read_text()))
def test_a_damaged_file_loads_or_is_a_config_error(tmp_path: Path, text: str) -> None:
    """Damage to a good file never leads to another exception, nor to a place outside the file."""
    path = tmp_path / "thirdring.yaml"
    path.write_text(text)
    try:
        config.load(path, workflows=WORKFLOWS, environ=ENVIRON)
    except ConfigError as error:
        places = [(problem.line, problem.column) for problem in error.problems]
        assert places == sorted(places)
        assert all(1 <= line <= text.count("\n") + 1 and column >= 1 for line, column in places)
