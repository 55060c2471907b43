"""A PostgreSQL of Debian's package, started for the tests: a data folder and ports of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

USER = "ring"
PASSWORD = "s3cret/pass@word"
ENCODED = "s3cret%2Fpass%40word"


class Postgresql:
    """A server on loopback that can be stopped and started; what is in it stays."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._schemas = 0
        # It may not run as root.
        self._rights: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []}
            if os.geteuid() == 0
            else {}
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def url(self, schema: str | None = None) -> str:
        """Return the URL of the database, or of a schema that is made in it."""
        options = f"?options=-csearch_path%3D{schema}" if schema else ""
        return f"postgresql://{USER}:{ENCODED}@127.0.0.1:{self.port}/ring{options}"

    def fresh(self) -> str:
        """Return the URL of a schema in which there is nothing yet."""
        self._schemas += 1
        schema = f"test_{os.getpid()}_{self._schemas}"
        self.say(f"CREATE SCHEMA {schema} AUTHORIZATION {USER}", database="ring")
        return self.url(schema)

    def make(self) -> None:
        """Make the data folder, with the settings that a server has by default."""
        if self._rights:
            account = pwd.getpwnam("postgres")
            os.chown(self._folder, account.pw_uid, account.pw_gid)
        self._run(
            "initdb", "--pgdata", self._data, "--no-sync", "--username", "postgres",
            "--auth-host", "scram-sha-256", "--auth-local", "trust", "--encoding", "UTF8",
        )  # fmt: skip
        self.start()
        self.say(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        # Of a language: most databases are, and their order is another one than that of bytes.
        self.say(
            f"CREATE DATABASE ring OWNER {USER} TEMPLATE template0"
            " LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
        )

    def start(self) -> None:
        """Start it; returns when it answers."""
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -k {self._folder}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "--wait", "-D", self._data, "-o", options, "-l", log)

    def stop(self) -> None:
        """Stop it; whoever is connected is cut off."""
        self._run("pg_ctl", "stop", "--wait", "--mode", "fast", "-D", self._data)

    def crash(self) -> None:
        """Stop it as a loss of power would: without a checkpoint."""
        self._run("pg_ctl", "stop", "--wait", "--mode", "immediate", "-D", self._data)

    def say(self, sql: str, *, database: str = "postgres") -> None:
        """Run a statement as the one who may do everything."""
        where = f"host={self._folder} port={self.port} user=postgres dbname={database}"
        self._run("psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--command", sql, where)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            **self._rights,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            # The server would hold a pipe open for as long as it runs.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            check=False,
            timeout=60,
        )
        if done.returncode:
            log = self._folder / "log"
            said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
            raise AssertionError(f"{program} {arguments} failed; the server's log:\n{said}")


@contextmanager
def running() -> Iterator[Postgresql]:
    """Run a server; its folder goes with it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if not found:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="ring-postgresql-"))
    server = Postgresql(found[-1].parent, folder)
    try:
        server.make()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _version(program: Path) -> int:
    return int(program.parts[-3])
