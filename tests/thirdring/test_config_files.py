"""A folder of configuration files is one configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from thirdring import config
from thirdring.config_files import files_of, stamp
from thirdring.errors import ConfigError
from thirdring.settings import Settings
from thirdring.workflow import Workflow

WORKFLOWS = {"desk": Workflow(name="desk", greeting="Hello.")}


def business(slug: str, *numbers: str) -> str:
    lines = "".join(f'      - {{number: "{number}", workflow: desk}}\n' for number in numbers)
    return f"  {slug}:\n    name: {slug}\n    time_zone: UTC\n    lines:\n{lines}"


CLINIC = "version: 1\nbusinesses:\n" + business("clinic", "+12025550142")
GARAGE = "version: 1\nbusinesses:\n" + business("garage", "+12025550143")
REST = 'version: 1\ndefault_line: "+12025550143"\nworker: {capacity: 3}\n'


def load(folder: Path, **texts: str) -> Settings:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return config.load(folder, workflows=WORKFLOWS, environ={})


def problems(folder: Path, **texts: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, **texts)
    return [str(problem).replace(f"{folder}", "F") for problem in caught.value.problems]


def test_files_of_a_folder_are_one_configuration(tmp_path: Path) -> None:
    """Businesses of each, what is about all of them from one; hidden files and others count not."""
    (tmp_path / ".clinic.yaml").write_text("half a file that an editor")
    (tmp_path / "notes.txt").write_text("[")
    (tmp_path / "old.yaml").mkdir()
    settings = load(tmp_path, b_clinic=CLINIC, a_garage=GARAGE, rest=REST)
    assert [one.slug for one in settings.businesses] == ["garage", "clinic"]
    assert (settings.default_line, settings.worker.capacity) == ("+12025550143", 3)


def test_two_files_that_claim_one_number_are_both_named(tmp_path: Path) -> None:
    """The number is wrong in the second file, and the first is told with its place."""
    again = GARAGE.replace("0143", "0142")
    assert problems(tmp_path, a=CLINIC, b=again) == [
        "F/b.yaml:7:18 businesses.garage.lines[0].number: is the number of another line, "
        "businesses.clinic.lines[0].number at F/a.yaml:7:18, got +12025550142; expected one line "
        "each"
    ]


def test_two_files_that_claim_one_business_are_both_named(tmp_path: Path) -> None:
    """The first one counts, so that nothing else is said of the second."""
    again = CLINIC.replace("desk", "nothing")
    assert problems(tmp_path, a=CLINIC, b=again) == [
        "F/b.yaml:3:3 businesses.clinic: is there already, at F/a.yaml:3:3, got clinic; expected "
        "each business once"
    ]


def test_what_is_about_all_stands_in_one_file(tmp_path: Path) -> None:
    """A second one with the same key is told, with the place of the first."""
    assert problems(tmp_path, a=CLINIC + "worker: {capacity: 2}\n", b=GARAGE, c=REST) == [
        "F/c.yaml:3:1 worker: is there already, at F/a.yaml:8:1, got worker; expected one file "
        "with this key"
    ]


def test_every_mistake_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    """In the order of the files, then of their lines; each with the file that it is in."""
    found = problems(
        tmp_path,
        a=CLINIC.replace("UTC", "Mars").replace("version: 1\n", ""),
        b=GARAGE.replace("desk", "nothing").replace("version: 1", "version: 2"),
        c="[1, 2]",
        d="version: 1\nbusinesses: [1]\nworkers: {}\n",
    )
    assert [
        line.partition(":")[0] + line.partition(" ")[2].partition(",")[0] for line in found
    ] == [
        "F/a.yamlversion: is missing; expected the key `version`",
        "F/a.yamlbusinesses.clinic.time_zone: is no time zone",
        "F/b.yamlversion: is not supported",
        "F/b.yamlbusinesses.garage.lines[0].workflow: is no workflow",
        "F/c.yamldocument: is not a mapping; expected keys with values",
        "F/d.yamlbusinesses: is not a mapping; expected keys with values",
        "F/d.yamlworkers: unknown key",
    ]


def test_a_file_that_cannot_be_read_hides_no_wrong_value_of_another(tmp_path: Path) -> None:
    """But nothing is said of numbers that may be in that file."""
    found = problems(
        tmp_path, a=CLINIC.replace("UTC", "Mars"), b="a: b: c", c=REST.replace("0143", "0199")
    )
    assert [line.partition(" ")[2].partition(",")[0] for line in found] == [
        "businesses.clinic.time_zone: is no time zone",
        "document: is not YAML (mapping values are not allowed in this context); expected valid "
        "YAML",
    ]


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (CLINIC.replace("version: 1", 'version: "\\e[31m"'), "\\x1b[31m"),
        (CLINIC.replace("version: 1", "version: sk-hunter2"), "sk-***"),
        ("version: 1\nbusinesses: sk-hunter2\n", "sk-***"),
        (f"{'x' * 300}\n", f"{'x' * 77}..."),
    ],
)
def test_what_is_shown_of_a_file_is_harmless(text: str, got: str, tmp_path: Path) -> None:
    """Short, without secrets and what steers a terminal, as of a single file."""
    (problem,) = problems(tmp_path, a=text, b=GARAGE)
    assert f", got {got}; expected" in problem


def test_a_folder_without_files_is_a_problem(tmp_path: Path) -> None:
    """It says what is missing, of the folder itself."""
    (problem,) = problems(tmp_path)
    assert problem.startswith("F folder: has no *.yaml in it; expected a file with `version: 1`")


def test_a_folder_without_businesses_is_a_problem(tmp_path: Path) -> None:
    """As a file without them is."""
    assert [text.partition(" ")[2] for text in problems(tmp_path, rest=REST)] == [
        "businesses: is missing; expected the key `businesses`",
        "default_line: is the number of no line, got +12025550143; expected nothing here: there "
        "are none",
    ]


def test_files_of_a_folder_are_bounded_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bytes and in values, as one file is."""
    load(tmp_path, a=CLINIC, b=GARAGE)
    monkeypatch.setattr("thirdring.config_files.MAX_VALUES", 12)
    assert "F folder: has too many values" in problems(tmp_path)[0]
    monkeypatch.setattr("thirdring.config_files.MAX_BYTES", len(CLINIC) + 1)
    assert "F folder: is too large" in problems(tmp_path)[0]


def test_a_change_of_any_file_shows(tmp_path: Path) -> None:
    """A new one, one that has gone, another text of the same length, a file put in its place."""
    seen = [stamp(tmp_path)]
    load(tmp_path, a=CLINIC, b=GARAGE)
    seen.append(stamp(tmp_path))
    (tmp_path / "b.yaml").unlink()
    seen.append(stamp(tmp_path))
    (tmp_path / "a.yaml").write_text(CLINIC.replace("UTC", "GMT"))
    seen.append(stamp(tmp_path))
    (tmp_path / "new").write_text(CLINIC)
    (tmp_path / "new").rename(tmp_path / "a.yaml")
    seen.append(stamp(tmp_path))
    assert len({*seen}) == len(seen)
    assert stamp(tmp_path) == seen[-1]
    assert files_of(tmp_path) == [tmp_path / "a.yaml"]


def test_what_is_not_there_has_a_stamp_too(tmp_path: Path) -> None:
    """Another one than when it comes."""
    path = tmp_path / "thirdring.yaml"
    missing = stamp(path)
    path.write_text(CLINIC)
    assert missing != stamp(path)
